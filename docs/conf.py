"""Builds the documentation: ``make docs``."""

project = "heterosis"
author = "the heterosis authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "heterosis"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"

"""Figures, one a file. The suffix of the path that they are drawn to decides the format."""

from heterosis.figures.comparison import draw_comparison
from heterosis.figures.plan import draw_plan

__all__ = ["draw_comparison", "draw_plan"]

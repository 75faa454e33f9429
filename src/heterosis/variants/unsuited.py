"""Why a recipe makes nothing of a model."""


class Unsuited(Exception):  # noqa: N818 - no error: it is so
    """The model has nothing that the recipe could work on, or this machine nothing that could run the result."""

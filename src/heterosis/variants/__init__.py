"""One model, many variants, each checked for accuracy."""

from heterosis.variants.loading import open_runner

__all__ = ["open_runner"]

"""One model, many variants, each checked for accuracy."""

from heterosis.variants.accuracy import Judge, Verdict
from heterosis.variants.loading import open_runner
from heterosis.variants.making import make_variants

__all__ = ["Judge", "Verdict", "make_variants", "open_runner"]

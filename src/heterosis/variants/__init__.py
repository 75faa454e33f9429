"""One model, many variants, each checked for accuracy."""

from heterosis.pipeline.opening import open_runner
from heterosis.variants.accuracy import Judge, Verdict
from heterosis.variants.making import make_variants

__all__ = ["Judge", "Verdict", "make_variants", "open_runner"]

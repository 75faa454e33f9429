"""Serve multi-stage inference pipelines on mixed hardware: latency SLOs met with the least energy.

What a pipeline file needs is here; the rest lives in the folders named after what they do.
"""

from heterosis.pipeline import Image, Pipeline, Sample, Stage, Tensor, gather, load_pipeline, pipeline, scores, stage
from heterosis.terms import Slo

__version__: str

__all__ = [
    "Image",
    "Pipeline",
    "Sample",
    "Slo",
    "Stage",
    "Tensor",
    "gather",
    "load_pipeline",
    "pipeline",
    "scores",
    "stage",
]


def __getattr__(name: str) -> str:
    """Look up the version when it is asked for: workers need it never, and the look-up takes a tenth of their start."""
    if name == "__version__":
        from importlib.metadata import version

        return version("heterosis")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

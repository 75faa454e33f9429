"""Serve multi-stage inference pipelines on mixed hardware: latency SLOs met with the least energy.

What a pipeline file needs is here; the rest lives in the folders named after what they do.
"""

from importlib.metadata import version

from heterosis.pipeline import Image, Pipeline, Sample, Stage, Tensor, gather, load_pipeline, pipeline, scores, stage
from heterosis.terms import Slo

__version__ = version("heterosis")

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

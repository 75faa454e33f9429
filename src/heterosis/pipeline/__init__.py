"""Stages, pipelines as functions, and tracing them into a graph."""

from heterosis.pipeline import scores
from heterosis.pipeline.calls import calls_run_by, gather
from heterosis.pipeline.function import Pipeline, Sample, pipeline
from heterosis.pipeline.loading import load_pipeline
from heterosis.pipeline.local import LocalCaller
from heterosis.pipeline.runner import StageRunner
from heterosis.pipeline.signature import Image, Signature, Tensor
from heterosis.pipeline.stage import FUNCTION, Stage, stage
from heterosis.pipeline.tracing import Trace, trace

__all__ = [
    "FUNCTION",
    "Image",
    "LocalCaller",
    "Pipeline",
    "Sample",
    "Signature",
    "Stage",
    "StageRunner",
    "Tensor",
    "Trace",
    "calls_run_by",
    "gather",
    "load_pipeline",
    "pipeline",
    "scores",
    "stage",
    "trace",
]

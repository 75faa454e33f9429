"""Published facts about hardware, as data, each with its source."""

from heterosis.catalogue.cpu import CpuIdentity, find_cpu
from heterosis.catalogue.fleet import fleet_names, open_fleet
from heterosis.catalogue.pipelines import PublishedPipeline, open_pipeline, pipeline_names
from heterosis.catalogue.types import find_type, match_type

__all__ = [
    "CpuIdentity",
    "PublishedPipeline",
    "find_cpu",
    "find_type",
    "fleet_names",
    "match_type",
    "open_fleet",
    "open_pipeline",
    "pipeline_names",
]

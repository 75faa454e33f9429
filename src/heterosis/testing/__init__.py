"""What tests of pipelines, policies and planners need, shipped with the product: small plans and graphs by hand."""

from heterosis.testing.driver import Driver, runs
from heterosis.testing.fleets import Kind, as_emulated, make_latency, make_mixed_plan, write_emulated
from heterosis.testing.plans import graph_of, make_plan, make_pool, make_variant

__all__ = [
    "Driver",
    "Kind",
    "as_emulated",
    "graph_of",
    "make_latency",
    "make_mixed_plan",
    "make_plan",
    "make_pool",
    "make_variant",
    "runs",
    "write_emulated",
]

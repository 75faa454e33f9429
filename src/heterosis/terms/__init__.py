"""The vocabulary: frozen value types, no behaviour beyond arithmetic. Every other folder speaks in these words."""

from heterosis.terms.device import Device, DeviceType, Fleet, Node, PowerMode
from heterosis.terms.energy import UNKNOWN, Energy, Quality
from heterosis.terms.graph import FanOut, PipelineGraph, TracedCall, TracedRequest
from heterosis.terms.overhead import NO_OVERHEAD, Overhead
from heterosis.terms.plan import (
    DEFAULT_PREFETCH_BELOW_MS,
    Choice,
    Option,
    PipelinePlan,
    Placement,
    Plan,
    Prediction,
    StagePlan,
)
from heterosis.terms.profile import (
    DEFAULT_MODE,
    ColdStart,
    Configuration,
    Interference,
    Latency,
    OperatingPoint,
    Profile,
    Provenance,
)
from heterosis.terms.request import DEFAULT_CLASS, Call, Request
from heterosis.terms.slo import Slo
from heterosis.terms.tensor import DYNAMIC, TensorSpec
from heterosis.terms.variant import Exclusion, Variant, VariantSet

__all__ = [
    "DEFAULT_CLASS",
    "DEFAULT_MODE",
    "DEFAULT_PREFETCH_BELOW_MS",
    "DYNAMIC",
    "NO_OVERHEAD",
    "UNKNOWN",
    "Call",
    "Choice",
    "ColdStart",
    "Configuration",
    "Device",
    "DeviceType",
    "Energy",
    "Exclusion",
    "FanOut",
    "Fleet",
    "Interference",
    "Latency",
    "Node",
    "OperatingPoint",
    "Option",
    "Overhead",
    "PipelineGraph",
    "PipelinePlan",
    "Placement",
    "Plan",
    "PowerMode",
    "Prediction",
    "Profile",
    "Provenance",
    "Quality",
    "Request",
    "Slo",
    "StagePlan",
    "TensorSpec",
    "TracedCall",
    "TracedRequest",
    "Variant",
    "VariantSet",
]

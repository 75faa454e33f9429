"""What a controller has its driver do."""

import msgspec

from heterosis.control.questions import Question
from heterosis.terms import Placement, Plan


class PutInForce(msgspec.Struct, frozen=True, kw_only=True):
    """Let this plan hold from now on."""

    plan: Plan
    reason: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Put this to the planner, and tell the controller what it answers."""

    question: Question


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Measure the configurations of a device anew, and tell the controller what they are."""

    node: str
    device: str
    placements: tuple[Placement, ...]
    """One instance of each, of those that run there."""


Act = PutInForce | Ask | Measure

"""What a policy is asked, what it may see, and what it may answer."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority
from heterosis.scheduling.view import View
from heterosis.terms import Request


class Dispatch(msgspec.Struct, frozen=True):
    """Run these waiting calls as one batch on a free instance."""

    instance: InstanceRecord
    calls: Sequence[CallRecord]
    reason: str


class Drop(msgspec.Struct, frozen=True):
    """Give up a waiting call."""

    call: CallRecord
    kind: Refusal
    reason: str


class Split(msgspec.Struct, frozen=True):
    """Let parts of so many items each wait in a divisible call's stead, from then on its ``parts``."""

    call: CallRecord
    sizes: Sequence[int]
    reason: str


class Wake(msgspec.Struct, frozen=True):
    """Ask again at this time, if nothing happens before."""

    at: float
    reason: str


class Refuse(msgspec.Struct, frozen=True):
    """Turn a request away at its arrival."""

    kind: Refusal
    reason: str
    retry_after_s: float = 0.0


Decision = Dispatch | Drop | Split | Wake


class Policy(Protocol):
    """Decides order, assignment, batching and dropping of calls.

    A policy is asked after every event and must answer in time that grows with stages and configurations, not with
    instances times queue. What it keeps between questions must depend on those questions alone: a log is replayed
    through it. One with ``only_changes = True`` is asked only after events that changed a queue or an instance: not
    after the arrival of a request, which has no call yet, nor after the end of one that had none waiting.
    """

    def admit(self, view: View, request: Request) -> Refuse | None:
        """Whether to turn an arriving request away."""
        ...

    def priority(self, view: View, record: CallRecord) -> Priority:
        """Where a call that begins to wait stands in its stage's queue; the smallest goes first.

        Asked once for each call, and again where it waits anew: its instance went down, or the plan changed.
        """
        ...

    def decide(self, view: View) -> Iterable[Decision]:
        """Yield decisions; each takes effect before the next is asked for."""
        ...

"""What happens to the scheduler. Every event is a value with ids; its time is handed in beside it."""

import msgspec

from heterosis.terms import Call, Plan, Request


class RequestArrived(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A client's request, decoded and valid.

    It may come with its only ``call``, ready at once. If it is let in, it ends with the batch that the call is done in,
    unless it is ended before.
    """

    request: Request
    call: Call | None = None


class RequestEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The pipeline function returned or raised, or the client went away; calls of it that still wait are moot."""

    request: str
    outcome: str
    """``answered``, ``failed`` or ``cancelled``."""


class CallReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The pipeline function called a stage; the call's arguments are at hand."""

    call: Call
    more: bool = False
    """Whether another call is ready at this very moment, and follows: what to run is decided after the last of them."""


class BatchDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instance finished a batch. ``failed`` are the calls whose own code or input made the stage raise.

    ``skipped`` are those that it left out, since nobody waited for them any more.
    """

    batch: int
    run_ms: float
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class InstanceReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instance has loaded and warmed up."""

    instance: str
    load_ms: float = 0.0


class InstanceDown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instance's process ended, unasked or as it was told."""

    instance: str
    reason: str


class PlanChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From now on this plan holds."""

    plan: Plan
    reason: str = ""
    """Why it is another than before."""


class TimerFired(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A timer that was set by `SetTimer` is due."""

    key: str


Event = RequestArrived | RequestEnded | CallReady | BatchDone | InstanceReady | InstanceDown | PlanChanged | TimerFired

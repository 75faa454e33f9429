"""What the scheduler wants done, each with its reason. The driver does it; what comes of it is the next event."""

from enum import StrEnum

import msgspec

from heterosis.terms import Call, Placement


class Refusal(StrEnum):
    """Why a request or a call is not served."""

    OVERLOAD = "overload"  # the load is beyond what can be answered in time
    LATE = "late"  # the deadline can no longer be met
    UNAVAILABLE = "unavailable"  # nothing can run it
    POISON = "poison"  # it killed every instance that it ran on


class RunBatch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send these calls, as one batch, to an instance."""

    batch: int
    instance: str
    calls: tuple[str, ...]
    reason: str


class SkipCalls(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell an instance that nobody waits for these calls of a batch any more: it leaves out what it has not begun."""

    batch: int
    instance: str
    calls: tuple[str, ...]
    reason: str


class RefuseRequest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer a request that just arrived with an error, at once."""

    request: str
    kind: Refusal
    reason: str
    retry_after_s: float = 0.0


class DropCall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Raise an error where the pipeline function awaits this call."""

    call: str
    request: str
    kind: Refusal
    reason: str


class SplitCall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """From now on these calls stand for one: each has the next so many of its items."""

    call: str
    request: str
    parts: tuple[Call, ...]
    reason: str


class StartInstance(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start a worker for this placement."""

    placement: Placement
    reason: str


class StopInstance(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Stop a worker; it holds no batch."""

    instance: str
    reason: str


class SetTimer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send `TimerFired` with this key at this time."""

    at: float
    key: str
    reason: str


class SetPowerMode(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bring a device into a power mode; no batch runs on it now, and the next one follows this effect."""

    node: str
    device: str
    mode: str
    reason: str


Effect = (
    RunBatch | SkipCalls | RefuseRequest | DropCall | SplitCall | StartInstance | StopInstance | SetTimer | SetPowerMode
)

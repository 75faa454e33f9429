"""Simulated requests and batches in progress."""

from dataclasses import dataclass, field

from heterosis.scheduling import RunBatch
from heterosis.scheduling.capacity import Place
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.terms import Request, TracedRequest


class Shape:
    """A request's calls, as the simulator walks them."""

    __slots__ = ("children", "parents", "roots", "single", "stages", "traced", "work")

    def __init__(self, traced: TracedRequest) -> None:
        """Turn the calls' parents into their children."""
        self.traced = traced  # keeps it alive, so that its identity stays its own
        self.stages = [call.stage for call in traced.calls]
        self.single = len(self.stages) == 1
        self.work = [call.work for call in traced.calls]
        self.parents = [len(call.parents) for call in traced.calls]
        self.roots = [position for position, count in enumerate(self.parents) if not count]
        self.children: list[list[int]] = [[] for _ in traced.calls]
        for position, call in enumerate(traced.calls):
            for parent in call.parents:
                self.children[parent].append(position)


@dataclass(slots=True)
class Running:
    """A request in progress."""

    number: int
    """Its place in the order of arrival."""
    request: Request
    arrived: float
    """At the server, which may have held it up before the scheduling core saw it."""
    shape: Shape
    waits_for: list[int]
    """How many calls each of its calls still waits for."""
    calls_left: int
    waited_s: float = 0.0
    """Moments at which its calls' batches began, less those at which the calls were ready."""
    joules: float = 0.0
    parts_left: dict[int, int] = field(default_factory=dict)
    """Of calls that were split, by position."""


@dataclass(slots=True)
class Flight:
    """A batch from dispatch to the end."""

    effect: RunBatch
    instance: InstanceRecord
    calls: tuple[CallRecord, ...]
    size: int
    begin: float
    run_s: float
    """On cores of its own."""
    watts: float | None
    slots: tuple[Place, ...]
    """That it shares with the server's own process, if it does."""
    due: float
    """When it is known to have ended."""
    held_s: float = 0.0
    """What it has lost to the server's own process since it began."""

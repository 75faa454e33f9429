"""The journal of a scheduler: the story of one request in it, and that of its plans."""

from collections.abc import Iterable, Iterator

import msgspec

from heterosis.scheduling.effects import Effect, StartInstance, StopInstance
from heterosis.scheduling.events import Event, PlanChanged


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a scheduler: an event, when it was handled, and the effects."""

    at: float
    event: Event
    effects: tuple[Effect, ...]


def story(records: Iterable[Record], request: str) -> Iterator[str]:
    """Tell what happened to one request, a line for each step, times in milliseconds after its arrival."""
    start: float | None = None
    batches: set[int] = set()
    for record in records:
        told = [record.event] if _concerns(record.event, request, batches) else []
        effects = [effect for effect in record.effects if _concerns(effect, request, batches)]
        for thing in (*told, *effects):
            batch = getattr(thing, "batch", None)
            if batch is not None:
                batches.add(batch)
            start = record.at if start is None else start
            fields = {key: value for key, value in msgspec.structs.asdict(thing).items() if key != "request"}
            details = ", ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
            yield f"{(record.at - start) * 1e3:9.2f} ms  {type(thing).__name__}: {details}"


def changes(records: Iterable[Record]) -> Iterator[str]:
    """Tell how the plan changed, and why, a line for each change, times in seconds after the first."""
    start: float | None = None
    for record in records:
        if isinstance(record.event, PlanChanged):
            start = record.at if start is None else start
            began = sum(isinstance(effect, StartInstance) for effect in record.effects)
            ended = sum(isinstance(effect, StopInstance) for effect in record.effects)
            why = record.event.reason or "no reason given"
            instances = len(record.event.plan.placements)
            yield f"{record.at - start:9.2f} s  {instances} instances, {began} begin, {ended} end at once: {why}"


def _concerns(thing: Event | Effect, request: str, batches: set[int]) -> bool:
    owner = getattr(thing, "request", None)
    if owner is not None:
        return request in (owner, getattr(owner, "id", None))
    call = getattr(thing, "call", None)
    if call is not None:
        return bool(call.request == request)
    if getattr(thing, "batch", None) in batches:
        return True
    return any(call.partition("/")[0] == request for call in getattr(thing, "calls", ()))

"""Replays a journal of a live run through the scheduling core: the same events must give the same effects."""

from collections.abc import Iterable

import msgspec

from heterosis.scheduling import PlanChanged, Record, Scheduler, validate


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first step at which a replay did otherwise than the live run."""

    step: int
    recorded: Record
    replayed: Record


def replay(records: Iterable[Record]) -> Divergence | None:
    """Handle every recorded event again, checking the invariants at each step; None where all effects agree."""
    scheduler: Scheduler | None = None
    for step, record in enumerate(records):
        if scheduler is None:
            if not isinstance(record.event, PlanChanged):
                raise ValueError(f"a journal starts with a plan, this one with {type(record.event).__name__}")
            scheduler = Scheduler(record.event.plan)
        effects = tuple(scheduler.handle(record.event, record.at))
        validate(scheduler)
        if effects != record.effects:
            return Divergence(step=step, recorded=record, replayed=msgspec.structs.replace(record, effects=effects))
    return None

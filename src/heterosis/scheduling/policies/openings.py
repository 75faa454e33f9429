"""Where a batch could go now: what several policies ask before they choose."""

from collections.abc import Collection

from heterosis.scheduling.state import InstanceRecord
from heterosis.scheduling.view import View
from heterosis.terms import Configuration


def openings(view: View, stage: str, variant: str | None = None) -> list[InstanceRecord]:
    """List one instance of each configuration, or of each of a variant, that can take a batch.

    Those that run one are listed only where none is idle.
    """
    configurations = [
        each for each in view.capacity.configurations[stage] if variant is None or each.variant == variant
    ]
    idle = [next(iter(found.values())) for each in configurations if (found := view.idle[each])]
    return idle or [next(iter(found.values())) for each in configurations if (found := view.spare[each])]


def first_opening(view: View, without: Collection[Configuration]) -> tuple[str, InstanceRecord] | None:
    """The stage whose head goes first, of those that a batch could go to now, and an instance for it; None if none is.

    Configurations in ``without`` are passed over.
    """
    choices = [
        (head.priority, stage, instance)
        for stage, queue in view.queues.items()
        if (head := queue.head) is not None
        for instance in openings(view, stage)
        if instance.configuration not in without
    ]
    return min(choices, key=lambda choice: choice[0])[1:] if choices else None


def free_at(view: View, instance: InstanceRecord) -> float:
    """When an instance has run what it holds."""
    return max(view.now, instance.batches[-1].expected_end) if instance.batches else view.now

"""A plan to hold between two others, while instances of both serve."""

from collections.abc import Iterable, Sequence

import msgspec

from heterosis.terms import OperatingPoint, Placement, Plan, StagePlan


def between(old: Plan, new: Plan, placements: Sequence[Placement], points: Iterable[OperatingPoint]) -> Plan:
    """Return the new plan with these instances, and what those of the old one need.

    A stage has every variant and the longer of both budgets. Stages that the new plan lacks stay, since calls of theirs
    may be under way.
    """
    known = {stage.stage: stage for stage in old.stages}
    stages = [_merged(stage, known.pop(stage.stage, None)) for stage in new.stages]
    return msgspec.structs.replace(
        new, stages=(*stages, *known.values()), placements=tuple(placements), points=tuple(points)
    )


def _merged(stage: StagePlan, old: StagePlan | None) -> StagePlan:
    if old is None:
        return stage
    variants = tuple(dict.fromkeys((stage.variant, *stage.variants, old.variant, *old.variants)))
    return msgspec.structs.replace(
        stage,
        variants=variants if len(variants) > 1 else (),
        budget_ms=max(stage.budget_ms, old.budget_ms),
        tail_ms=max(stage.tail_ms, old.tail_ms),
    )

"""Plans of several pipelines: arithmetic on plans, for one scheduler that runs them all.

A pipeline that is hosted beside others has a *key* there. Its stages are then called ``KEY/STAGE``, its instances
``KEY/INSTANCE``, so that no two pipelines get into each other's way.
"""

from collections.abc import Iterable, Sequence

import msgspec

from heterosis.terms.plan import PipelinePlan, Placement, Plan, Prediction, StagePlan
from heterosis.terms.profile import Configuration, OperatingPoint
from heterosis.terms.slo import Slo

SEPARATOR = "/"

NOTHING = Plan(
    pipeline="",
    slo=Slo(latency_ms=1000.0),
    rate_rps=0.0,
    policy="heterosis",
    stages=(),
    placements=(),
    points=(),
    predicted=Prediction(latency_ms=0.0),
)
"""The plan of a scheduler that hosts no pipeline yet."""


def qualified_name(key: str, name: str) -> str:
    """What a stage or an instance of a hosted pipeline is called."""
    return f"{key}{SEPARATOR}{name}"


def bare_name(stage: str) -> str:
    """What the pipeline itself calls a stage: neither keys nor names of stages hold separators."""
    return stage.rpartition(SEPARATOR)[2]


def key_of(stage: str) -> str:
    """The key of the pipeline that a stage belongs to."""
    return stage.rpartition(SEPARATOR)[0]


def qualified(plan: Plan, key: str) -> Plan:
    """Return the plan of one pipeline as it stands in a plan of several."""

    def configuration(of: Configuration) -> Configuration:
        return msgspec.structs.replace(of, stage=qualified_name(key, of.stage))

    return msgspec.structs.replace(
        plan,
        pipeline=key,
        stages=tuple(msgspec.structs.replace(each, stage=qualified_name(key, each.stage)) for each in plan.stages),
        placements=tuple(
            msgspec.structs.replace(
                each, instance=qualified_name(key, each.instance), configuration=configuration(each.configuration)
            )
            for each in plan.placements
        ),
        points=tuple(
            msgspec.structs.replace(each, configuration=configuration(each.configuration)) for each in plan.points
        ),
        pipelines=(
            PipelinePlan(
                pipeline=key,
                slo=plan.slo,
                rate_rps=plan.rate_rps,
                stages=tuple(qualified_name(key, each.stage) for each in plan.stages),
                predicted=plan.predicted,
            ),
        ),
    )


def joined(plan: Plan, other: Plan) -> Plan:
    """Return the plan that runs the pipelines of both; their instances take turns on slots that both name.

    Both name their ``pipelines``, none of them twice. The policy is the first one's, unless that runs nothing yet.
    """
    pipelines = (*plan.pipelines, *other.pipelines)
    first = plan if plan.pipelines else other
    return msgspec.structs.replace(
        first,
        pipeline="+".join(each.pipeline for each in pipelines),
        rate_rps=plan.rate_rps + other.rate_rps,
        pipelines=pipelines,
        stages=(*plan.stages, *other.stages),
        placements=(*plan.placements, *other.placements),
        points=(*plan.points, *other.points),
        options=(*plan.options, *other.options),
        reasons=(*plan.reasons, *other.reasons),
        predicted=_together(pipelines),
    )


def without(plan: Plan, key: str) -> Plan:
    """Return a plan of several pipelines less one of them."""
    pipelines = tuple(each for each in plan.pipelines if each.pipeline != key)
    stages = {stage for each in pipelines for stage in each.stages}
    return msgspec.structs.replace(
        plan,
        pipeline="+".join(each.pipeline for each in pipelines),
        slo=pipelines[0].slo if pipelines else plan.slo,
        rate_rps=sum(each.rate_rps for each in pipelines),
        pipelines=pipelines,
        stages=tuple(each for each in plan.stages if each.stage in stages),
        placements=tuple(each for each in plan.placements if each.configuration.stage in stages),
        points=tuple(each for each in plan.points if each.configuration.stage in stages),
        predicted=_together(pipelines),
    )


def with_pipelines(plan: Plan) -> Plan:
    """Return a plan that says which stages are whose, also where all are one pipeline's."""
    if plan.pipelines:
        return plan
    only = PipelinePlan(
        pipeline=plan.pipeline,
        slo=plan.slo,
        rate_rps=plan.rate_rps,
        stages=tuple(stage.stage for stage in plan.stages),
        predicted=plan.predicted,
    )
    return msgspec.structs.replace(plan, pipelines=(only,))


def part_of(plan: Plan, key: str) -> Plan:
    """Return what a plan of several pipelines says of one of them, by the names that this one has for itself.

    The reverse of `qualified`.
    """
    mine = next(each for each in plan.pipelines if each.pipeline == key)
    only = plan
    for each in plan.pipelines:
        if each.pipeline != key:
            only = without(only, each.pipeline)

    def configuration(of: Configuration) -> Configuration:
        return msgspec.structs.replace(of, stage=bare_name(of.stage))

    return msgspec.structs.replace(
        only,
        slo=mine.slo,
        rate_rps=mine.rate_rps,
        predicted=mine.predicted,
        stages=tuple(
            msgspec.structs.replace(
                each,
                stage=bare_name(each.stage),
                variant=msgspec.structs.replace(each.variant, stage=bare_name(each.stage)),
                variants=tuple(msgspec.structs.replace(one, stage=bare_name(each.stage)) for one in each.variants),
            )
            for each in only.stages
        ),
        placements=tuple(
            msgspec.structs.replace(
                each,
                instance=each.instance.removeprefix(qualified_name(key, "")),
                configuration=configuration(each.configuration),
            )
            for each in only.placements
        ),
        points=tuple(
            msgspec.structs.replace(each, configuration=configuration(each.configuration)) for each in only.points
        ),
        pipelines=(),
    )


def _together(pipelines: Sequence[PipelinePlan]) -> Prediction:
    """What several pipelines come to that were planned each for itself: the slowest, the load of all, no joules."""
    return Prediction(
        latency_ms=max((each.predicted.latency_ms for each in pipelines), default=0.0),
        utilisation=sum(each.predicted.utilisation for each in pipelines),
    )


def between(old: Plan, new: Plan, placements: Sequence[Placement], points: Iterable[OperatingPoint]) -> Plan:
    """Return the new plan with these instances, and what those of the old one need: to hold while both serve.

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

"""What one would deploy without a planner: the comparison that every plan must beat."""

import msgspec

from heterosis.planning.assembly import assemble
from heterosis.planning.problem import Problem
from heterosis.planning.snapshot import Snapshot
from heterosis.planning.solution import Solution
from heterosis.terms import Configuration, OperatingPoint, Plan, Variant
from heterosis.terms.errors import UsageError

ENGINE, PRECISION = "onnxruntime", "fp32"


def naive_plan(snapshot: Snapshot) -> Plan:
    """Return one instance of the reference model in fp32 per stage, one call at a time, first come, first served.

    Threads are the engine's own choice, and the operating system shares the cores. What it would take is predicted from
    points measured so, or else from those of the most threads, which is what engines choose; whether that keeps the SLO
    is not asked. Raise UsageError where nothing of the kind was measured.
    """
    points = tuple(_point(snapshot, stage) for stage in snapshot.graph.stages)
    measured = msgspec.structs.replace(snapshot, profile=msgspec.structs.replace(snapshot.profile, points=points))
    problem = Problem.of(measured)
    solution = Solution(problem, {stage: options[0] for stage, options in problem.candidates.items()})
    plan = assemble(measured, solution, policy="fcfs")
    reasons = ["not planned: the reference model of each stage, in fp32, as it comes"]
    predicted = plan.predicted
    if predicted.utilisation >= 1:
        predicted = msgspec.structs.replace(predicted, latency_ms=solution.alone_ms)
        reasons.append(f"overloaded ({predicted.utilisation:.0%} busy): the latency given is that of a request alone")
    return msgspec.structs.replace(
        plan,
        placements=tuple(
            msgspec.structs.replace(each, configuration=_unmanaged(each.configuration), max_batch=1, slots=())
            for each in plan.placements
        ),
        points=tuple(
            msgspec.structs.replace(each, configuration=_unmanaged(each.configuration)) for each in plan.points
        ),
        predicted=predicted,
        reasons=tuple(reasons),
    )


def _unmanaged(configuration: Configuration) -> Configuration:
    return msgspec.structs.replace(configuration, threads=0)


def _variant(snapshot: Snapshot, stage: str) -> Variant:
    """Return the reference model in fp32; a stage without a model has but one variant."""
    reference = snapshot.variants.reference(stage)
    plain = (reference.model, ENGINE, PRECISION)
    of = snapshot.variants.of(stage)
    return next((each for each in of if (each.model, each.engine, each.precision) == plain), reference)


def _point(snapshot: Snapshot, stage: str) -> OperatingPoint:
    """Return the reference's point of the smallest batch and the most threads, the engine's own choice being all."""
    name = _variant(snapshot, stage).name
    slots = {device.type.name: device.slots for device in snapshot.fleet.devices}
    found = [
        (each.batch, -threads, at.threads > 0, index, each)
        for index, each in enumerate(snapshot.profile.points)
        if (at := each.configuration).variant == name and at.stage == stage and at.device_type in slots
        for threads in (at.threads or slots[at.device_type],)
        if threads <= slots[at.device_type]
    ]
    if not found:
        raise UsageError(f"stage {stage!r}: {name} has no operating point on this fleet; profile it to compare with")
    _, threads, _, _, point = min(found)
    return msgspec.structs.replace(point, configuration=msgspec.structs.replace(point.configuration, threads=-threads))

"""Workers from outside in a fleet: each is a device of its own, for nothing but the variant that it has packed."""

from collections.abc import Sequence

from msgspec.structs import replace

from heterosis.planning.fleet.task import Task, Workload
from heterosis.terms import (
    DEFAULT_MODE,
    Device,
    DeviceType,
    Fleet,
    Node,
    OperatingPoint,
    PowerMode,
    Quality,
    Variant,
)
from heterosis.terms.errors import UsageError
from heterosis.terms.joining import bare_name


def with_worker(
    task: Task, worker: str, device: str, *, stage: str, digest: str, device_type: str, threads: int
) -> Task:
    """Return a task with one node more, a worker that has a variant of a stage (by its name in the pipeline).

    Until it is known better, it is expected to take what the variant takes where it was profiled, on as many threads
    or the nearest number. It is on whether it is used or not, so it counts as drawing nothing when idle.

    Raise UsageError where no plan of this task can make use of the variant.
    """
    workload, variant = _wanted(task, stage, digest)
    kind = f"{device_type}@{worker}"
    points = _points(workload, variant, kind, device_type, threads)
    grown = replace(workload, profile=replace(workload.profile, points=(*_others(workload, kind), *points)))
    mode = PowerMode(name=DEFAULT_MODE, idle_power_w=0.0)
    outside = Device(
        name=device,
        type=DeviceType(name=kind, kind="outside", power_modes=(mode,), quality=Quality.MODELLED),
        slots=points[0].configuration.threads,
    )
    return replace(
        task,
        workloads=tuple(grown if each is workload else each for each in task.workloads),
        fleet=Fleet(nodes=(*_nodes_but(task, worker), Node(name=worker, devices=(outside,)))),
    )


def without_worker(task: Task, worker: str) -> Task:
    """Return a task without a node."""
    return replace(task, fleet=Fleet(nodes=_nodes_but(task, worker)))


def _wanted(task: Task, stage: str, digest: str) -> tuple[Workload, Variant]:
    for workload in task.workloads:
        for variant in workload.variants.variants:
            if bare_name(variant.stage) == stage and variant.digest == digest:
                return workload, variant
    known = sorted(
        {f"{bare_name(each.stage)} {each.name}" for workload in task.workloads for each in workload.variants.variants}
    )
    raise UsageError(
        f"no plan of this server can use the variant of stage {stage!r} that this worker has; it plans with: "
        f"{', '.join(known)}. Pack one of them: heterosis pack FILE"
    )


def _points(
    workload: Workload, variant: Variant, kind: str, device_type: str, threads: int
) -> Sequence[OperatingPoint]:
    measured = [
        point
        for point in workload.profile.points
        if (point.configuration.stage, point.configuration.variant) == (variant.stage, variant.name)
    ]
    if not measured:
        raise UsageError(f"{variant.name} of stage {variant.stage!r} was never profiled here: nothing is known of it")
    like = min(
        (point.configuration for point in measured),
        key=lambda each: (each.device_type != device_type, abs(each.threads - threads), each.power_mode),
    )
    on = replace(like, device_type=kind, power_mode=DEFAULT_MODE)
    return [replace(point, configuration=on) for point in measured if point.configuration == like]


def _others(workload: Workload, kind: str) -> list[OperatingPoint]:
    return [point for point in workload.profile.points if point.configuration.device_type != kind]


def _nodes_but(task: Task, worker: str) -> tuple[Node, ...]:
    return tuple(node for node in task.fleet.nodes if node.name != worker)

"""When no plan for a fleet is possible: which limits bind, and what is the nearest that is possible."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

import msgspec

from heterosis.planning.fleet.allotment import accuracy, latency_s
from heterosis.planning.fleet.planner import Answer, allot, maximum_rate
from heterosis.planning.fleet.program import Limits
from heterosis.planning.fleet.task import Objective, Task, Workload
from heterosis.planning.infeasible import InfeasibleError, Nearest, advice
from heterosis.planning.snapshot import Verdict
from heterosis.terms import Device, Fleet, Node

LIMITS = ("latency", "devices", "accuracy", "memory")
CLOSE = 0.005
"""How close the tightest SLO is found, relative."""
LEAST_RATE = 1e-3
"""Of the rate asked for: where not even so little is possible, no rate is."""


def infeasible(task: Task, *, tried: Sequence[Verdict] = ()) -> InfeasibleError:
    """Find out why a task has no answer, by lifting its limits one at a time, then in pairs.

    ``binding`` of the error names the limits at fault: ``latency``, ``devices``, ``accuracy``, ``memory``; ``nearest``
    is what is possible with all else kept, of the first pipeline where there are several: SLOs, and rates, then change
    by the same factor. Where plans are possible by the options' figures, and all of them missed the SLO when they were
    ``tried``, that is what the error says, and by how much.
    """
    asked = " and ".join(_asked(task, number) for number in range(len(task.workloads)))
    absent = [stage for stage, found in _runnable(task).items() if not found]
    if absent:
        return InfeasibleError(
            f"no plan for {asked}: no device of the fleet has figures of stage {', '.join(absent)}. Give the fleet "
            "another type of device, or measure these stages on one that it has",
            ("devices",),
            Nearest(),
        )
    if tried:
        best = max(tried, key=lambda verdict: verdict.attainment)
        return InfeasibleError(
            f"no plan for {asked}: every plan that should keep the SLO missed it when tried in the simulator; the best "
            f"had {100 * best.attainment:.3g} % in time, {_took(task, best)}. Loosen the SLO, or lower the rate",
            ("latency",),
            Nearest(),
        )
    enough = _enough(task)
    binding = tuple(name for name in LIMITS if any(name in each for each in enough))
    nearest, lacking = _nearest(task), _lacking(task) if ("devices",) in enough else ""
    return InfeasibleError(f"no plan for {asked}: {_cause(enough)}{lacking}. {advice(nearest)}", binding, nearest)


def _took(task: Task, verdict: Verdict) -> str:
    percent = max(workload.slo.percentile for workload in task.workloads)
    if math.isinf(verdict.latency_ms):
        return "and more was refused than the SLO lets be late"
    return f"and a p{percent:g} of {verdict.latency_ms:.0f} ms"


def _lacking(task: Task) -> str:
    """Say which devices, added to the fleet, would be enough: of a plan of the fewest devices."""
    answer = _possible(task, lifted=("devices",))
    if answer is None:
        return ""
    used: Counter[int] = Counter()
    for (number, _), count in answer.allotment.devices().items():
        used[number] += count
    more = [
        f"{count - len(task.kinds[number].units)} {task.kinds[number].type.name}"
        for number, count in sorted(used.items())
        if count > len(task.kinds[number].units)
    ]
    return f" ({' and '.join(more)} more would do)" if more else ""


def require(task: Task) -> Answer:
    """Return the best allotment by the options' own figures. Raise InfeasibleError where there is none."""
    answer = allot(task)
    if answer is None:
        raise infeasible(task)
    return answer


def _enough(task: Task) -> list[tuple[str, ...]]:
    """The smallest sets of limits, of one or two, without which there is an answer; all where two are too few."""
    for size in (1, 2):
        found = [each for each in combinations(LIMITS, size) if _possible(task, lifted=each)]
        if found:
            return found
    return [LIMITS]


def _possible(task: Task, *, lifted: Iterable[str] = (), latency: float = 1.0) -> Answer | None:
    """An answer without some limits. Accuracy and memory decide which options there are, too: the task loses them."""
    if "accuracy" in lifted:
        task = _without_floor(task)
    if "memory" in lifted:
        task = _without_memory(task)
    limits = Limits(latency=math.inf if "latency" in lifted else latency, devices="devices" not in lifted)
    return allot(msgspec.structs.replace(task, objectives=(Objective.DEVICES,)), limits=limits)


def _without_floor(task: Task) -> Task:
    replace = msgspec.structs.replace
    without = [replace(each, slo=replace(each.slo, min_accuracy=None, class_accuracy={})) for each in task.workloads]
    return replace(task, workloads=tuple(without))


def _without_memory(task: Task) -> Task:
    def roomy(device: Device) -> Device:
        return msgspec.structs.replace(device, memory_bytes=None)

    def emptied(node: Node) -> Node:
        return msgspec.structs.replace(node, devices=tuple(map(roomy, node.devices)))

    return msgspec.structs.replace(task, fleet=Fleet(nodes=tuple(map(emptied, task.fleet.nodes))))


def _runnable(task: Task) -> dict[str, bool]:
    """Whether a stage has a figure of any device of the fleet."""
    types = {kind.type.name for kind in task.kinds}
    found = dict.fromkeys(task.stages, False)
    for workload in task.workloads:
        for point in workload.profile.points:
            found[point.configuration.stage] |= point.configuration.device_type in types
    return {stage: found[stage] for stage in task.stages}


def _nearest(task: Task) -> Nearest:
    first = task.workloads[0]
    factor = tightest(task)
    replace = msgspec.structs.replace
    slowed = tuple(replace(each, rate_rps=LEAST_RATE * each.rate_rps) for each in task.workloads)
    best = allot(replace(_without_floor(task), objectives=(Objective.ACCURACY,))) if _floors(first) else None
    return Nearest(
        latency_ms=None if factor is None else factor * first.slo.latency_ms,
        rate_rps=maximum_rate(task) * first.rate_rps if _possible(replace(task, workloads=slowed)) else None,
        accuracy=None if best is None else accuracy(first, best.allotment),
    )


def tightest(task: Task) -> float | None:
    """Return the least factor by which all SLOs can be multiplied with an answer still possible; None where none is."""
    loose = _possible(task, lifted=("latency",))
    if loose is None:
        return None
    low, high = (
        0.0,
        max(
            (task.overhead.wall_ms + 1e3 * latency_s(workload, loose.allotment)) / workload.slo.latency_ms
            for workload in task.workloads
        ),
    )
    while high - low > CLOSE * high:
        middle = (low + high) / 2
        if _possible(task, latency=middle):
            high = middle
        else:
            low = middle
    return high * (1 + 1e-9)


_MEANING = {
    "latency": "a looser SLO",
    "devices": "more devices",
    "accuracy": "a lower accuracy floor",
    "memory": "more memory",
}


def _cause(enough: list[tuple[str, ...]]) -> str:
    ways = [" and ".join(_MEANING[name] for name in each) for each in enough]
    if len(enough) == 1 and len(enough[0]) == 1:
        return f"{_BINDS[enough[0][0]]}: {ways[0]} is enough, and nothing else alone"
    if enough == [LIMITS]:
        return "its limits contradict each other, and loosening two of them is not enough"
    alone = "each limit could be kept, but not all at once" if len(enough[0]) == 1 else "several limits bind together"
    return f"{alone}; it takes {', or '.join(ways)}"


_BINDS = {
    "latency": "the SLO binds",
    "devices": "capacity binds",
    "accuracy": "the accuracy floor binds",
    "memory": "memory binds",
}


def _floors(workload: Workload) -> list[str]:
    """What accuracy is asked for, in words."""
    slo = workload.slo
    found = [] if not slo.min_accuracy else [f"accuracy at least {slo.min_accuracy:.4g}"]
    return [*found, *(f"of {name} at least {floor:.4g}" for name, floor in slo.class_accuracy.items())]


def _asked(task: Task, number: int) -> str:
    workload = task.workloads[number]
    kept = "".join(f", {floor}" for floor in _floors(workload))
    return (
        f"{workload.graph.pipeline!r} at {workload.rate_rps:.4g} requests/s with p{workload.slo.percentile:g} within "
        f"{workload.slo.latency_ms:.4g} ms{kept}"
    )

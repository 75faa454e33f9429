"""From an answer of the optimiser to a plan that can be put in force."""

from collections.abc import Mapping, Sequence

from heterosis.planning.curve import NOTHING
from heterosis.planning.demand import demand
from heterosis.planning.snapshot import Snapshot
from heterosis.planning.solution import Solution
from heterosis.terms import UNKNOWN, Device, Energy, Placement, Plan, Prediction, Quality, StagePlan


def assemble(snapshot: Snapshot, solution: Solution, *, policy: str, reasons: Sequence[str] = ()) -> Plan:
    """Return the plan of a solution, at the snapshot's rate, without a reason for each option."""
    rate = snapshot.rate_rps
    configurations = {option.configuration for option in solution.options.values()}
    energy = sum((option.energy for option in solution.options.values()), start=snapshot.overhead.energy)
    return Plan(
        pipeline=snapshot.graph.pipeline,
        slo=snapshot.slo,
        rate_rps=rate,
        policy=policy,
        stages=tuple(_stage(snapshot, solution, stage) for stage in snapshot.graph.stages),
        placements=tuple(each for stage in snapshot.graph.stages for each in _placements(solution, stage)),
        points=tuple(point for point in snapshot.profile.points if point.configuration in configurations),
        predicted=Prediction(
            latency_ms=solution.latency_ms(rate),
            accuracy=solution.accuracy,
            utilisation=solution.utilisation(rate),
            dynamic_energy_per_request=energy,
            power=_idle_power(snapshot, solution) + energy * rate,
        ),
        reasons=tuple(reasons),
        measured=snapshot.profile.origins,
        overhead=snapshot.overhead,
    )


def _stage(snapshot: Snapshot, solution: Solution, stage: str) -> StagePlan:
    option = solution.options[stage]
    # What the critical path leaves of the SLO is shared out in proportion to the stages' latencies.
    stretch = snapshot.slo.latency_ms / sum(solution.options[each].latency_ms for each in solution.longest_path)
    return StagePlan(
        stage=stage,
        variant=option.variant,
        budget_ms=stretch * option.latency_ms,
        tail_ms=_tail_ms(solution, stage),
        demand_per_s=snapshot.rate_rps * demand(snapshot.graph, stage).mean,
        utilisation=snapshot.rate_rps * option.load_ms / 1e3,
    )


def _tail_ms(solution: Solution, stage: str) -> float:
    """Return the time that what follows the last call of a stage takes, along the longest path."""
    following = (path[len(path) - path[::-1].index(stage) :] for path in solution.problem.paths if stage in path)
    return max((sum(solution.options[each].tail_ms for each in path) for path in following), default=0.0)


def _placements(solution: Solution, stage: str) -> list[Placement]:
    option, start = solution.options[stage], solution.starts[stage]
    threads = option.configuration.threads
    return [
        Placement(
            instance=f"{stage}-{number}",
            configuration=option.configuration,
            max_batch=option.batch,
            node=option.node,
            device=option.device.name,
            slots=tuple(range(start + number * threads, start + (number + 1) * threads)),
        )
        for number in range(option.instances)
    ]


def _idle_power(snapshot: Snapshot, solution: Solution) -> Energy:
    """Return the joules per second of the whole fleet at rest."""
    modes = {option.mode[:2]: option.mode[2] for option in solution.options.values()}
    power = NOTHING
    for node in snapshot.fleet.nodes:
        for device in node.devices:
            power += _idle_power_of(device, modes, node.name)
    return power


def _idle_power_of(device: Device, modes: Mapping[tuple[str, str], str], node: str) -> Energy:
    watts = device.idle_power_w(modes.get((node, device.name), device.type.power_modes[0].name))
    if watts is None or device.type.quality is Quality.NONE:
        return UNKNOWN
    return Energy(watts, device.type.quality)

"""The integer program, against trying everything."""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from time import process_time

import msgspec
import numpy as np
import pytest

from heterosis.planning.options import Candidate
from heterosis.planning.placement import Goal, solve
from heterosis.planning.problem import Limits, Problem
from heterosis.planning.snapshot import Snapshot
from heterosis.planning.wait import utilisation_grid, wait_factor
from heterosis.terms import OperatingPoint, PipelineGraph, Slo, TracedCall, TracedRequest, Variant
from heterosis.testing.snapshots import chain, point, snapshot, variant

TIES = 1e-3
"""Between plans this close in cost, latency decides."""

MEMORY = 1000


@cache
def random_snapshot(seed: int) -> Snapshot:
    """Return a small random pipeline: a chain of two or three stages, or two branches, on one to three slots."""
    random = np.random.default_rng(seed)
    slots = int(random.integers(1, 4))
    graph = _graph(random)
    variants: list[Variant] = []
    points: list[OperatingPoint] = []
    for stage in graph.stages:
        for model, accuracy in (("small", 0.95), ("tiny", float(random.uniform(0.85, 0.95)))):
            made = variant(stage, model, accuracy=accuracy)
            variants.append(made)
            base_ms = float(random.uniform(5, 60)) * (1 if model == "small" else 0.5)
            for threads, batch in product(range(1, min(slots, 2) + 1), (1, 4)):
                mean_ms = base_ms * batch**0.8 / threads**0.7 * float(random.uniform(0.8, 1.2))
                joules = mean_ms * threads * float(random.uniform(0.5, 1.5)) / 100
                memory = int(random.integers(50, 300))
                points.append(point(made, threads, batch, mean_ms, joules=joules, tail=1.3, memory_bytes=memory))
    return snapshot(
        graph,
        variants,
        points,
        slo=Slo(latency_ms=1.0, percentile=float(random.choice([90, 99]))),
        slots=slots,
        memory_bytes=MEMORY,
        reference_accuracy=0.95,
    )


def _graph(random: np.random.Generator) -> PipelineGraph:
    counts = [int(count) for count in random.integers(1, 7, size=3)]
    if random.random() < 0.3:
        calls = [TracedCall(stage="a"), *(TracedCall(stage="b", parents=(0,)) for _ in range(counts[0]))]
        calls += [TracedCall(stage="c", parents=(0,)) for _ in range(counts[1])]
        return PipelineGraph(pipeline="test", stages=("a", "b", "c"), requests=(TracedRequest(calls=tuple(calls)),))
    stages = {"a": [1, 1, 1], "b": counts, "c": [1, 2, 1]}
    return chain(dict(list(stages.items())[: int(random.integers(2, 4))]))


def random_limits(seed: int, snapshot: Snapshot) -> Limits:
    """Return limits of which about half can be kept."""
    random = np.random.default_rng(1000 + seed)
    problem = Problem.of(snapshot)
    fastest_ms = sum(problem.least_ms.values())
    busiest_ms = sum(min(each.work_ms for each in of) for of in problem.candidates.values())
    return Limits(
        latency_ms=float(random.uniform(1.2, 6)) * fastest_ms,
        rate_rps=float(random.uniform(0.02, 0.9)) * 1e3 * snapshot.fleet.devices[0].slots / busiest_ms,
        min_accuracy=float(random.choice([0.0, 0.8, 0.85, 0.9])) or None,
    )


def everything(problem: Problem, limits: Limits) -> Iterator[tuple[float, float]]:
    """Yield the cost and latency of each choice of options and slots that is within the limits, worked out by hand."""
    for chosen in product(*problem.candidates.values()):
        if sum(option.memory_bytes for option in chosen) > MEMORY:
            continue
        if 0.95 * math.prod(option.relative_accuracy for option in chosen) < (limits.min_accuracy or 0):
            continue
        latency_ms = least_latency_ms(problem, limits, dict(zip(problem.candidates, chosen, strict=True)))
        if latency_ms <= limits.latency_ms and latency_ms < math.inf:
            yield sum(option.energy.joules or 0 for option in chosen), latency_ms


def least_latency_ms(problem: Problem, limits: Limits, chosen: Mapping[str, Candidate]) -> float:
    """Return the latency with the wait at the smallest utilisation of the grid that some sharing of the slots keeps."""
    slots = next(iter(chosen.values())).device.slots
    busiest_ms = min(
        max(
            sum(
                each.load_ms
                for each, start in zip(chosen.values(), starts, strict=True)
                if start <= slot < start + each.slots
            )
            for slot in range(slots)
        )
        for starts in product(*(range(slots - each.slots + 1) for each in chosen.values()))
    )
    fitting = [rho for rho in utilisation_grid(problem.percentile) if limits.rate_rps * busiest_ms / 1e3 <= rho]
    if not fitting:
        return math.inf
    wait_ms = wait_factor(fitting[0], problem.percentile, problem.variation) * sum(
        each.work_ms / each.slots for each in chosen.values()
    )
    return wait_ms + max(
        sum(chosen[stage].latency_ms for stage in path) + sum(chosen[stage].beside_ms for stage in beside)
        for path, beside in problem.paths.items()
    )


@pytest.mark.parametrize("seed", range(100))
def test_nothing_is_better_than_what_is_found(seed: int) -> None:
    """On random small pipelines, the program finds what trying everything finds: as cheap, or nothing."""
    whole = random_snapshot(seed)
    problem, limits = Problem.of(whole), random_limits(seed, whole)
    found = solve(problem.undominated(), limits)
    best = min(everything(problem, limits), default=None)
    if best is None:
        assert found is None
    else:
        assert found is not None
        assert found.keeps(limits)
        assert best[0] - 1e-9 <= found.cost <= best[0] * (1 + TIES)


def test_the_random_pipelines_test_both_answers() -> None:
    """A good part of the random problems can be solved, and a good part cannot."""
    cases = [(random_snapshot(seed), random_limits(seed, random_snapshot(seed))) for seed in range(40)]
    answers = [solve(Problem.of(whole).undominated(), limits) is not None for whole, limits in cases]
    assert 10 < sum(answers) < 30


@pytest.mark.parametrize("seed", range(25))
def test_looser_limits_never_cost_more(seed: int) -> None:
    """A looser SLO, a lower rate, a lower accuracy floor, more memory: as cheap or cheaper, ties aside."""
    problem = Problem.of(random_snapshot(seed)).undominated()
    limits = random_limits(seed, random_snapshot(seed))
    strict = solve(problem, limits)
    if strict is None:
        return
    for looser in (
        msgspec.structs.replace(limits, latency_ms=limits.latency_ms * 1.3),
        msgspec.structs.replace(limits, rate_rps=limits.rate_rps * 0.7),
        msgspec.structs.replace(limits, min_accuracy=None),
        msgspec.structs.replace(limits, memory=False),
    ):
        loose = solve(problem, looser)
        assert loose is not None
        assert loose.cost <= strict.cost * (1 + TIES)


@pytest.mark.parametrize("seed", range(15))
def test_nothing_is_faster_than_the_fastest_found(seed: int) -> None:
    """Within the other limits, no choice is faster than the fastest found."""
    whole = random_snapshot(seed)
    problem, limits = Problem.of(whole), random_limits(seed, whole)
    loose = msgspec.structs.replace(limits, latency_ms=math.inf)
    choices = list(everything(problem, loose))
    fastest = solve(problem.undominated(), loose, Goal.LATENCY)
    if choices:
        assert fastest is not None
        assert fastest.needed_ms(limits.rate_rps) == pytest.approx(min(latency_ms for _, latency_ms in choices))
    else:
        assert fastest is None


def test_a_forbidden_combination_is_not_chosen() -> None:
    """The next best combination of variants is."""
    whole = random_snapshot(1)
    problem, limits = Problem.of(whole).undominated(), Limits()
    first = solve(problem, limits)
    assert first is not None
    second = solve(problem, Limits(forbidden=(first.combination,)))
    assert second is not None
    assert second.combination != first.combination
    assert second.cost >= first.cost


def test_among_equals_fewer_instances_then_fewer_threads_then_the_name_decide() -> None:
    """Options that differ in nothing else are taken in that order."""
    one, other = variant("a", "one"), variant("a", "other")
    same = [point(each, threads, 1, 10.0, joules=1.0) for each in (other, one) for threads in (2, 1)]
    whole = snapshot(chain({"a": [1]}), [other, one], same, slo=Slo(latency_ms=100), rate_rps=0.01)
    found = solve(Problem.of(whole).undominated(), Limits(latency_ms=100, rate_rps=0.01))
    assert found is not None
    option = found.options["a"]
    assert (option.instances, option.configuration.threads, option.variant.model) == (1, 1, "one")


def test_a_device_is_in_one_power_mode() -> None:
    """Stages whose cheapest options are in different modes agree on one."""
    a, b = variant("a"), variant("b")
    whole = snapshot(
        chain({"a": [1], "b": [1]}),
        [a, b],
        [
            point(a, 1, 1, 10.0, joules=1.0, power_mode="low"),
            point(a, 1, 1, 10.0, joules=2.0, power_mode="high"),
            point(b, 1, 1, 10.0, joules=5.0, power_mode="low"),
            point(b, 1, 1, 10.0, joules=2.0, power_mode="high"),
        ],
        slo=Slo(latency_ms=100),
        power_modes=("low", "high"),
    )
    found = solve(Problem.of(whole).undominated(), Limits())
    assert found is not None
    assert {option.configuration.power_mode for option in found.options.values()} == {"high"}
    assert found.cost == 4


def test_stages_spread_over_devices() -> None:
    """Two stages that would each fill three quarters of a slot fit on two devices of one slot, but not on one."""
    a, b = variant("a"), variant("b")
    points = [point(each, 1, 1, 50.0, joules=1.0) for each in (a, b)]
    slo = Slo(latency_ms=10_000)
    whole = snapshot(chain({"a": [1], "b": [1]}), [a, b], points, slo=slo, slots=1)
    limits = Limits(rate_rps=15.0)
    assert solve(Problem.of(whole).undominated(), limits) is None
    (node,) = whole.fleet.nodes
    twins = tuple(msgspec.structs.replace(device, name=name) for device in node.devices for name in ("cpu-0", "cpu-1"))
    fleet = msgspec.structs.replace(whole.fleet, nodes=(msgspec.structs.replace(node, devices=twins),))
    found = solve(Problem.of(msgspec.structs.replace(whole, fleet=fleet)).undominated(), limits)
    assert found is not None
    assert {option.device.name for option in found.options.values()} == {"cpu-0", "cpu-1"}
    assert found.utilisation(15.0) == pytest.approx(0.75)


def test_three_stages_of_two_hundred_options_take_less_than_a_second() -> None:
    """CPU time of one solution, with enumerating the options."""
    random = np.random.default_rng(0)
    variants, points = [], []
    graph = chain({"a": [1] * 3, "b": [5, 9, 12], "c": [5, 9, 12]})
    for stage, model in product(graph.stages, range(8)):
        made = variant(stage, str(model), accuracy=0.9 + model / 100)
        variants.append(made)
        for threads, batch in product((1, 2, 4), (1, 2, 4, 8)):
            mean_ms = (
                (200 if stage == "a" else 20) * (0.3 + model / 8) * batch**0.9 / threads**0.8 * random.uniform(1, 1.1)
            )
            points.append(point(made, threads, batch, mean_ms, joules=mean_ms * threads / 100 * random.uniform(1, 1.1)))
    whole = snapshot(
        graph,
        variants,
        points,
        slo=Slo(latency_ms=600, min_accuracy=0.9),
        rate_rps=2.0,
        slots=4,
        reference_accuracy=0.97,
    )
    started = process_time()
    problem = Problem.of(whole)
    found = solve(problem.undominated(), Limits(latency_ms=600, rate_rps=2.0, min_accuracy=0.9))
    assert process_time() - started < 1
    assert found is not None
    assert min(map(len, problem.candidates.values())) > 200

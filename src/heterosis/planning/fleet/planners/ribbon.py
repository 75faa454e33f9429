"""Ribbon: Bayesian optimisation of how many devices of each kind to rent, at 99 % in time or better.

Li et al., "RIBBON: Cost-Effective and QoS-Aware Deep Learning Model Inference using a Diverse Pool of Cloud Computing
Instances" (SC'21, §4). What is maximised over the counts ``x`` of each type, up to ``m`` of it, is

    1/2 share in time / target                  where fewer than the target are in time
    1/2 + 1/2 (1 - price of x / price of m)     else

by a Gaussian process with a Matern 5/2 kernel on rounded counts, and expected improvement. A pool that misses the
target by far takes all smaller ones with it; one that is dearer than the best that keeps it is not tried. Calls go to
the base type first (here the fastest), then to the next ones: first come, first served, one by one, without batching.

The share in time is measured by the evaluator that is handed in; by default, it is that of the queueing model. A pool
serves one model there; here a pipeline's stages each have their counts. Models are given: the most accurate variants.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from heterosis.planning.fleet.allotment import Allotment, Share
from heterosis.planning.fleet.planners.inferline import wait_s
from heterosis.planning.fleet.planners.servers import Server, allotment, of_best_variants, share
from heterosis.planning.fleet.task import Task

Evaluate = Callable[[Allotment], float]
"""Share of the requests (0..1) that are in time."""
Floats = NDArray[np.float64]
Counts = tuple[int, ...]

TARGET = 0.99
FAR = 0.9
"""Of the target: a pool that has less in time is too small, and so are all within it."""
TRIES = 48
FIRST = 6
"""Pools that are tried before the process is asked."""
CANDIDATES = 2000
NOISE = 1e-4


def ribbon(task: Task, evaluate: Evaluate | None = None, *, tries: int = TRIES, seed: int = 0) -> Allotment | None:
    """Plan as Ribbon does; None where no pool that was tried has enough requests in time."""
    search = _Search(task, evaluate or (lambda found: _modelled(task, found)), seed)
    return search.run(tries)


class _Search:
    def __init__(self, task: Task, evaluate: Evaluate, seed: int) -> None:
        self._task, self._evaluate = task, evaluate
        self._rng = np.random.default_rng(seed)
        found, self._calls = of_best_variants(task)
        self._types = [server for of in found.values() for server in _one_by_one(of)]
        kinds = [len(task.kinds[each.option.group[0]].units) for each in self._types]
        self._most = tuple(
            min(units, each.needed(2 * self._calls[each.option.stage]))
            for each, units in zip(self._types, kinds, strict=True)
        )
        self._tried: dict[Counts, float] = {}
        self._too_small: list[Counts] = []
        self._best: tuple[float, Allotment] | None = None

    def run(self, tries: int) -> Allotment | None:
        """Try pools, the promising ones first."""
        self._try(self._most)
        for number in range(tries - 1):
            candidates = self._candidates()
            if not candidates:
                break
            if number < FIRST:
                self._try(candidates[int(self._rng.integers(len(candidates)))])
            else:
                self._try(candidates[int(np.argmax(self._improvement(candidates)))])
        return None if self._best is None else self._best[1]

    def _try(self, counts: Counts) -> None:
        found = self._allotment(counts)
        in_time = 0.0 if found is None else self._evaluate(found)
        if found is None or in_time < TARGET:
            self._tried[counts] = 0.5 * in_time / TARGET
            if in_time < FAR * TARGET and found is not None:
                self._too_small.append(counts)
            return
        price = self._price(counts)
        self._tried[counts] = 0.5 + 0.5 * (1 - price / self._price(self._most))
        if self._best is None or price < self._best[0]:
            self._best = (price, found)

    def _candidates(self) -> list[Counts]:
        """Pools not tried yet, and not known to be too small or too dear: drawn, and next to the best ones."""
        drawn = self._rng.integers(0, np.array(self._most) + 1, (CANDIDATES, len(self._most)))
        found = {tuple(int(count) for count in each) for each in drawn}
        for near in sorted(self._tried, key=lambda each: -self._tried[each])[:FIRST]:
            for at in range(len(near)):
                for step in (-1, 1):
                    if 0 <= near[at] + step <= self._most[at]:
                        found.add((*near[:at], near[at] + step, *near[at + 1 :]))
        return sorted(each for each in found if each not in self._tried and self._may_be_best(each))

    def _may_be_best(self, counts: Counts) -> bool:
        if self._best is not None and self._price(counts) >= self._best[0]:
            return False
        if any(all(a <= b for a, b in zip(counts, small, strict=True)) for small in self._too_small):
            return False
        return all(
            sum(count * each.per_s for count, each in self._of(stage, counts)) > calls
            for stage, calls in self._calls.items()
        )

    def _of(self, stage: str, counts: Counts) -> list[tuple[int, Server]]:
        return [(count, each) for count, each in zip(counts, self._types, strict=True) if each.option.stage == stage]

    def _price(self, counts: Counts) -> float:
        return sum(count * each.price for count, each in zip(counts, self._types, strict=True))

    def _improvement(self, candidates: Sequence[Counts]) -> Floats:
        """How much better than the best a pool is expected to be."""
        seen, values = np.array(list(self._tried), float), np.array(list(self._tried.values()))
        mean, deviation = posterior(seen, values, np.array(candidates, float), np.array(self._most, float))
        above = mean - values.max()
        z = above / deviation
        from scipy.stats import norm

        expected: Floats = above * norm.cdf(z) + deviation * norm.pdf(z)
        return expected

    def _allotment(self, counts: Counts) -> Allotment | None:
        shares: list[Share] = []
        for stage, calls in self._calls.items():
            left = calls
            late = 1 - self._task.stages[stage].slo.percentile / 100
            of = sorted(self._of(stage, counts), key=lambda each: each[1].latency_s)
            carried = sum(count * each.per_s for count, each in of)
            if carried <= calls:
                return None
            for count, each in of:  # the base type first, as far as it goes without being busy all the time
                taken = min(left, count * each.per_s * max(0.9, calls / carried))
                if taken > 0:
                    waits_s = wait_s(each, count, taken, late)
                    shares.append(share(each, count, taken, each.latency_s + waits_s))
                    left -= taken
        return allotment("ribbon", self._task, shares, f"{TARGET:.0%} in time at least price")


def posterior(seen: Floats, values: Floats, at: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of a Gaussian process with a Matern 5/2 kernel, where these values were seen.

    Points are rows; a count's whole range ``scale`` is a length of 2.
    """
    level = float(values.mean())
    kernel = _matern(seen, seen, scale) + NOISE * np.eye(len(seen))
    between = _matern(at, seen, scale)
    solved = np.linalg.solve(kernel, between.T)
    mean = level + (values - level) @ solved
    variance = 1 - np.einsum("ij,ji->i", between, solved)
    spread = float(values.std()) or 1.0
    return mean, spread * np.sqrt(np.maximum(variance, 1e-12))


def _matern(one: Floats, other: Floats, scale: Floats) -> Floats:
    lengths = np.maximum(scale, 1.0) / 2
    apart = np.sqrt((((one[:, None] - other) / lengths) ** 2).sum(axis=-1)) * math.sqrt(5)
    found: Floats = (1 + apart + apart**2 / 3) * np.exp(-apart)
    return found


def _one_by_one(found: Sequence[Server]) -> list[Server]:
    """For each kind of device, the least batch in the power mode that is fastest."""
    least = min((each.option.batch for each in found), default=0)
    kinds: dict[int, Server] = {}
    for each in found:
        kind = each.option.group[0]
        if each.option.batch == least and (kind not in kinds or each.per_s > kinds[kind].per_s):
            kinds[kind] = each
    return list(kinds.values())


def _modelled(task: Task, found: Allotment) -> float:
    """Share in time by the queueing model: waits of the stages add up, with the tail of an exponential."""
    worst = 1.0
    for workload in task.workloads:
        late = 1 - workload.slo.percentile / 100
        for path in workload.graph.paths():
            run_s = sum(_mean(found, stage, latency=False) for stage in path)
            wait = sum(_mean(found, stage, latency=True) for stage in path) - run_s
            left_s = workload.slo.latency_ms / 1e3 - run_s
            if left_s < 0:
                return 0.0
            worst = min(worst, 1 - late ** (left_s / wait)) if wait > 0 else worst
    return worst


def _mean(found: Allotment, stage: str, *, latency: bool) -> float:
    """Time of a call of a stage, over all devices that share it."""
    hosts = list(found.hosted(stage))
    total = sum(host.per_s for host in hosts)
    times = (host.per_s * (host.option.latency_s if latency else host.option.run_s) for host in hosts)
    return sum(times) / total

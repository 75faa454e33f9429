"""The plans that the benchmarks of the scheduler simulate: one stage, on instances that are alike or of four types."""

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.agreement import make_kind
from heterosis.simulation import Outcome, Setting, Simulator, stream
from heterosis.simulation.workload import Arrival
from heterosis.terms import Plan
from heterosis.testing import graph_of, make_mixed_plan, make_plan

LOAD = 0.7
"""Share of what all instances do together without batches."""
ALIKE_MS = 10.0
TYPES_MS = (10.0, 14.0, 20.0, 30.0)
DAY_TYPES_MS = (7.0, 10.0, 14.0, 21.0)
"""Four of each do 1,450 requests a second, so 1,000 are 70 %."""
EACH = 4
SLO_MS = 200.0
GRAPH = graph_of([("a", ())])
CHUNK = 10_000


def alike(policy: str, instances: int = 16) -> tuple[Plan, float]:
    """So many instances of one type without batches, and the rate (per second) that is 70 % load."""
    plan = make_plan({"a": ALIKE_MS}, slots=instances, max_batch=1, slo_ms=SLO_MS, policy=policy)
    return plan, LOAD * instances / ALIKE_MS * 1e3


def mixed(policy: str, times_ms: tuple[float, ...] = TYPES_MS, max_batch: int = 1) -> tuple[Plan, float]:
    """Four instances of each of four types, whose run times differ and scatter, and the rate that is 70 % load."""
    kinds = {f"type{ms:.0f}": make_kind(ms, max_batch, 400.0 / ms, EACH) for ms in times_ms}
    plan = make_mixed_plan("a", kinds, slo_ms=SLO_MS, policy=policy)
    return plan, LOAD * sum(EACH / kind.latencies[0].mean_ms for kind in kinds.values()) * 1e3


SETTINGS: dict[str, Callable[[str], tuple[Plan, float]]] = {"16 alike": alike, "16 of 4 types": mixed}


def requests(rate_rps: float, count: int, seed: int = 0) -> Iterator[Arrival]:
    """So many requests of independent clients (Poisson), made as they are needed."""
    return stream(_moments(rate_rps, count, seed), GRAPH, seed=seed)


def _moments(rate_rps: float, count: int, seed: int) -> Iterator[float]:
    rng, last = np.random.default_rng(seed), 0.0
    for made in range(0, count, CHUNK):
        times = last + np.cumsum(rng.exponential(1 / rate_rps, min(CHUNK, count - made)))
        yield from times.tolist()
        last = float(times[-1])


@dataclass(frozen=True, slots=True)
class Measured:
    """A run, and the time that it took."""

    outcome: Outcome
    cpu_s: float
    wall_s: float
    peak_mb: float
    """Most memory that this process has had until then, what ran before included."""

    @property
    def deciding(self) -> float:
        """The scheduling core's share of the time, where decisions were timed."""
        return sum(self.outcome.decision_s) / self.wall_s


def measure(plan: Plan, rate_rps: float, count: int, *, timed: bool = False) -> Measured:
    """Run so many requests; fail where they do not all come to an end."""
    cpu, wall = time.process_time(), time.perf_counter()
    outcome = Simulator(plan, setting=Setting(timed=timed)).run(requests(rate_rps, count))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    measured = Measured(outcome, cpu, wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    answered = int(np.isfinite(outcome.records.latencies).sum())
    assert answered + outcome.refusals.total() == outcome.requests == count
    return measured

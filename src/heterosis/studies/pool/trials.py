"""Pools measured in the simulator, all by the same policy and on the same queries.

A pool that need only be compared is not measured to the end: a short run far beyond what is allowed, or a few seeds
well beyond it, spare the others.
"""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from heterosis.planning.pools import Pool, cost
from heterosis.simulation import Outcome, Shares
from heterosis.studies.kairos.comparison import SHORT
from heterosis.studies.kairos.load import simulate
from heterosis.studies.kairos.plans import plan_of
from heterosis.studies.kairos.search import COARSE_SEEDS, Allowable, allowable_qps, rough_qps
from heterosis.studies.kairos.setting import ALLOWED_VIOLATIONS
from heterosis.studies.pool.offer import Offer, Power

REQUESTS = 4_000
"""Queries of one run, at the least."""
LASTS = 50
"""A run lasts so many times the latency limit, at the least: at its end whatever waits is still served, which counts
for nothing only if it is little."""
WELL_BEYOND = 1.25
"""Violations of the first seeds, as a multiple of those allowed, beyond which the other seeds are spared."""


class Trials:
    """What pools of an offer achieve. Each is measured once."""

    def __init__(
        self,
        offer: Offer,
        policy: str,
        seeds: int,
        *,
        power: dict[str, Power] | None = None,
        requests: int = REQUESTS,
        told: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Take the policy that serves, and how many runs of how many queries a figure is the mean of.

        The policy knows the ``power`` of each type only where it is given. ``told`` is told of each pool whose turn it
        is.
        """
        self.offer, self.load, self.policy = offer, offer.load(), policy
        self._seeds, self._requests, self._told = seeds, requests, told
        self._sizes = Shares(tuple(offer.shares), tuple(offer.shares.values()))
        self._power = power or {}
        self._dynamic_w = {kind: each.active_w - each.idle_w for kind, each in self._power.items()} or None
        self.simulated_s = 0.0
        """Wall time spent in the simulator."""
        self._allowable: dict[Pool, Allowable] = {}
        self._not_above: dict[Pool, float] = {}

    def allowable(self, pool: Pool, *, near: float | None = None) -> Allowable:
        """Find the load in queries per second at which 99 % are in time; the search starts from one ``near`` it."""
        if pool not in self._allowable:
            self._told(f"load of {pool}")
            about = near or rough_qps(partial(self._roughly, pool), self.load.most(pool).per_s)
            found = allowable_qps(partial(self._violations, pool), about, self._seeds, with_interval=False)
            self._allowable[pool] = found
        return self._allowable[pool]

    def allowable_above(self, pool: Pool, record: float | None) -> float | None:
        """The allowable load of a pool (`search`'s measure); None where it is not above the record."""
        if pool not in self._allowable and record is not None:
            if self._not_above.get(pool, np.inf) <= record:
                return None
            if not self.holds(pool, record):
                self._not_above[pool] = record
                return None
        qps = self.allowable(pool, near=record).qps
        return qps if record is None or qps > record else None

    def holds(self, pool: Pool, qps: float) -> bool:
        """Whether 99 % of the queries are in time at a load."""
        self._told(f"{pool} at {qps:.4g}/s")
        if self._violations(pool, qps, 0, part=SHORT) > SHORT * ALLOWED_VIOLATIONS:
            return False
        shares: list[float] = []
        for seed in range(self._seeds):
            shares.append(self._violations(pool, qps, seed))
            if len(shares) == COARSE_SEEDS and np.mean(shares) > WELL_BEYOND * ALLOWED_VIOLATIONS:
                return False
        return bool(np.mean(shares) <= ALLOWED_VIOLATIONS)

    def power_w(self, pool: Pool, qps: float) -> float:
        """Mean power of a pool that serves a load: of every machine its idle power, of busy ones what is above that."""
        outcomes = [self._outcome(pool, qps, seed) for seed in range(min(self._seeds, COARSE_SEEDS))]
        dynamic_w = np.mean([(outcome.dynamic_joules or 0.0) / outcome.duration_s for outcome in outcomes])
        return cost(pool, [each.idle_w for each in self._power.values()]) + float(dynamic_w)

    def _violations(self, pool: Pool, qps: float, seed: int, *, part: int = 1) -> float:
        return float(self._outcome(pool, qps, seed, part=part).records.violated.mean())

    def _roughly(self, pool: Pool, qps: float, seed: int) -> float:
        """Where a short run is far beyond what is allowed, spare the whole one."""
        short = self._violations(pool, qps, seed, part=SHORT)
        return short if short > SHORT * ALLOWED_VIOLATIONS else self._violations(pool, qps, seed)

    def _outcome(self, pool: Pool, qps: float, seed: int, *, part: int = 1) -> Outcome:
        """Run one of so many parts of a whole run."""
        began = time.perf_counter()
        plan = plan_of(self.offer.setting(), pool, self.offer.runs, self.policy, qps, self._dynamic_w)
        requests = max(self._requests, math.ceil(LASTS * self.load.limit_s * qps)) // part
        outcome = simulate(plan, self.offer.runs, self._sizes, seed=seed, requests=requests)
        self.simulated_s += time.perf_counter() - began
        return outcome

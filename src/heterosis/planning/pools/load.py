"""What is asked of a pool of machines, and what no policy can do better with one."""

import msgspec
import numpy as np

from heterosis.planning.bounds import ThroughputBound, throughput_bound
from heterosis.planning.division import chances_of, division
from heterosis.planning.pools.enumeration import Pool


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a pool. Where there is one figure for each type, they are in the order of the pool's counts."""

    shares: tuple[float, ...]
    """Share of the requests that has each size, smallest size first."""
    run_s: tuple[tuple[float, ...], ...]
    """For each type, the mean run time at each size, in seconds."""
    limit_s: float
    """Latency that a request may take."""
    violations: float = 0.01
    """Share of the requests that may take longer."""
    chances: tuple[tuple[float, ...], ...] | None = None
    """For each type, the chance at each size that a run ends within the limit; None: as the means say."""

    def most(self, pool: Pool) -> ThroughputBound:
        """The highest rate at which a pool could serve it (`throughput_bound`), each type up to its own cut-off."""
        return throughput_bound(
            self.shares, self.run_s, pool, self.limit_s, violations=self.violations, chances=self.chances
        )


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """The least that it costs to serve a load."""

    cost: float
    busy: tuple[float, ...]
    """Machines of each type that are busy then."""


def least_upkeep(load: Load, rate: float, costs: tuple[float, ...], pool: Pool | None = None) -> Upkeep | None:
    """Minimise what busy machines cost at a rate (requests per second) of the load, for whatever policy.

    ``costs`` of one busy machine of each type: watts, for one, or dollars an hour. On a pool, or on as many machines
    as one likes, parts of machines included. None where the pool, or every type, is too slow for it.
    """
    from scipy.optimize import linprog

    times = np.array(load.run_s)
    rows = division(times, chances_of(times, load.limit_s, load.chances))
    found = linprog(
        np.array(costs) @ rows.busy,
        A_ub=np.vstack([rows.busy, rows.late]) if pool is not None else rows.late,
        b_ub=[*(pool or ()), load.violations * rate],
        A_eq=rows.served,
        b_eq=rate * np.array(load.shares),
        bounds=[(0, each) for each in rows.upper],
        method="highs",
    )
    if not found.success:
        return None
    return Upkeep(cost=float(found.fun), busy=tuple((rows.busy @ found.x).tolist()))

"""What no policy can do better: the least joules of a request, for one who knows every run time and never has to wait.

Each request takes, of all ways to give its functions a mode, the one of least energy that is in time; one that no way
brings in time takes the least there is. Domains are taken to be full or asleep. What the slots can do together limits
it, too, at a price (the Lagrangian dual): for any price of a second of a slot,

    sum over requests of min (joules + price * seconds) - price * seconds that the slots have

is not above the energy of any schedule in which all are in time; the largest such value is the bound. Run times are
drawn with the setting's noise; a call's factor is the same in every mode.
"""

from functools import cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from heterosis.simulation.records import Floats
from heterosis.studies.slack.servers import MODES, Servers
from heterosis.studies.slack.setting import CHAINS, NOISE, Chain, Load

DRAWS: Final = 100
"""Requests of each chain that the bound is averaged over."""
_STEPS: Final = 30


@cache
def lower_bound_j(load: Load, servers: Servers) -> float:
    """Joules of a request, idle power included: the mean over the chains."""
    rate = load.rate_rps(servers)
    own_s = servers.slots / rate
    options = [_options(chain, servers) for chain in CHAINS]

    def value(price: float) -> float:
        needed = [_least(joules + price * seconds, in_time) for joules, seconds, in_time in options]
        return float(np.mean(needed)) - price * own_s

    low, high = 0.0, 4 * servers.busy_w(MODES[0])
    for _ in range(_STEPS):  # the dual is concave in the price
        third = (high - low) / 3
        if value(low + third) < value(high - third):
            low += third
        else:
            high -= third
    return servers.domains * servers.asleep_w / rate + value((low + high) / 2)


def _least(costs: Floats, allowed: npt.NDArray[np.bool_]) -> float:
    return float(np.where(allowed, costs, np.inf).min(axis=1).mean())


@cache
def _options(chain: Chain, servers: Servers) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Joules and seconds of every way to run each of the drawn requests, and whether it may be taken."""
    sigma = float(np.sqrt(np.log1p(NOISE**2)))
    noise = np.random.default_rng(0).lognormal(-(sigma**2) / 2, sigma, (DRAWS, len(chain.stages)))
    run_s = np.array([[stage.run_s(mode) for mode in MODES] for stage in chain.stages])
    awake_w = (servers.awake_w - servers.asleep_w) / servers.width
    watts = np.array([servers.busy_w(mode) + awake_w for mode in MODES])
    ways = np.array(list(product(range(len(MODES)), repeat=len(chain.stages))))
    each = np.arange(len(chain.stages))
    seconds = noise @ run_s[each, ways].T
    joules = noise @ (run_s * watts)[each, ways].T
    in_time = seconds <= chain.limit_s
    in_time[~in_time.any(axis=1)] = True
    return joules, seconds, in_time

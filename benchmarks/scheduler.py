"""How fast the scheduling core decides: simulated requests per second of CPU time, and the time of one decision.

CPU time, the least of several short runs that take turns, so that other work on the machine distorts little.
"""

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import TypeVar

from benchmarks.fleets import SETTINGS, alike, measure
from heterosis.scheduling.policies import POLICIES

K = TypeVar("K")
REQUESTS = 10_000
REPEATS = 3
COMPARED = ("fcfs", "heterosis")
COMPARED_REPEATS = 7
SIZES = (10, 100, 1_000, 10_000)
EVENTS_PER_REQUEST = 2
"""It arrives with its only call; the batch is done, and so is it."""


def run() -> dict[str, float]:
    """Measure every policy on instances that are alike, two of them on several types too, and ours on many."""
    figures = {f"{policy}: simulated requests/s": rate for policy, rate in _policies().items()}
    for setting in SETTINGS:
        pairs = {policy: (setting, policy) for policy in COMPARED}
        for policy, seconds in _best(pairs, _seconds, COMPARED_REPEATS).items():
            figures[f"{policy}, {setting}: simulated requests/s"] = REQUESTS / seconds
    return figures | scaling("heterosis")


def _policies() -> dict[str, float]:
    setting = next(iter(SETTINGS))
    best = _best({policy: (setting, policy) for policy in POLICIES}, _seconds, REPEATS)
    return {policy: REQUESTS / seconds for policy, seconds in best.items()}


def _seconds(setting: str, policy: str) -> float:
    plan, rate = SETTINGS[setting](policy)
    return measure(plan, rate, REQUESTS).cpu_s


def scaling(policy: str, sizes: Iterable[int] = SIZES, repeats: int = REPEATS) -> dict[str, float]:
    """Time of one decision among more and more instances at the same load, and how it grows."""
    best = _best({size: (policy, size) for size in sizes}, decision_us, repeats)
    figures = {f"{policy}, {size} instances: us per decision": us for size, us in best.items()}
    least, *_, most = best
    return figures | {f"{policy}: time of a decision at {most} against {least}": best[most] / best[least]}


def decision_us(policy: str, instances: int) -> float:
    """Mean time that the core takes for an event, in microseconds, once the instances are busy and until they drain."""
    plan, rate = alike(policy, instances)
    warm_up = 2 * instances
    run = measure(plan, rate, warm_up + REQUESTS + instances, timed=True)
    first = 1 + instances + EVENTS_PER_REQUEST * warm_up  # the plan, and every instance is ready
    mean_s = fmean(run.outcome.decision_s[first : first + EVENTS_PER_REQUEST * REQUESTS])
    return mean_s * run.cpu_s / run.wall_s * 1e6  # decisions are timed by the wall, and others may use the processor


def _best(what: Mapping[K, tuple[object, ...]], one: Callable[..., float], repeats: int) -> dict[K, float]:
    """Measure everything once, then everything again; the least of each."""
    rounds = [{key: one(*arguments) for key, arguments in what.items()} for _ in range(repeats)]
    return {key: min(each[key] for each in rounds) for key in what}

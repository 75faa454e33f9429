"""Figures of one load, had in several ways: by the planner, from simulations, and live."""

import statistics
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from heterosis.simulation import Outcome, make_report
from heterosis.simulation.repetition import interval

Figures = Mapping[str, float]
"""By name, the same names whichever way they were had."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A rate's figures by how they were had, those of several runs one by one."""

    modelled: Figures
    """The planner's own."""
    predicted: Sequence[Figures]
    simulated: Sequence[Figures]
    live: Sequence[Figures]
    lag_p99_ms: float
    """Of the load generator, in the run where it was most late."""


def rows(compared: Compared) -> dict[str, float]:
    """Means, half the width of the live runs' 95 % interval, and ratios."""
    found = {f"{name}, modelled": value for name, value in compared.modelled.items()}
    for name in compared.live[0]:
        predicted, simulated = (
            statistics.fmean(each[name] for each in runs) for runs in (compared.predicted, compared.simulated)
        )
        live = interval([each[name] for each in compared.live])
        found |= {f"{name}, predicted": predicted, f"{name}, simulated": simulated, f"{name}, live": live.mean}
        if live.high is not None:
            found[f"{name}, live, ±"] = live.high - live.mean
        found |= {
            f"{name}, live / predicted": live.mean / predicted,
            f"{name}, live / simulated": live.mean / simulated,
        }
    return found | {"load generator's lag_p99_ms": compared.lag_p99_ms}


def tail(live_ms: Sequence[float], simulated_ms: Sequence[float]) -> dict[str, float]:
    """The 99th percentile of all requests of all live runs, with its 95 % interval, and over that of the simulated.

    The interval is that of order statistics: of how many requests of so many are slower than the true percentile. It
    takes them as independent of each other, which those of one crowd are not.
    """
    from scipy.stats import binom

    ordered = sorted(live_ms)
    low, high = (min(int(rank), len(ordered) - 1) for rank in binom.ppf([0.025, 0.975], len(ordered), 0.99))
    simulated = float(np.percentile(simulated_ms, 99))
    p99 = float(np.percentile(ordered, 99))
    return {
        "requests, live": len(ordered),
        "p99_ms of all, live": p99,
        "p99_ms of all, live, low": ordered[low],
        "p99_ms of all, live, high": ordered[high],
        "p99_ms of all, simulated": simulated,
        "p99_ms of all, live / simulated": p99 / simulated,
    }


def of_simulator(outcome: Outcome) -> Figures:
    """The figures of a simulated run."""
    report = make_report(outcome)
    p50, p99, joules = report.latency_ms.p50, report.latency_ms.p99, report.energy.per_answer.joules
    assert p50 is not None
    assert p99 is not None
    assert joules is not None
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "goodput_rps": report.goodput_rps,
        "attainment": report.attainment,
        "joules_per_answer": joules,
    }

"""Figures of one load, had in several ways: by the planner, from simulations, and live."""

import statistics
from collections.abc import Mapping, Sequence

import msgspec

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

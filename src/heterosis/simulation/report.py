"""The figures of a simulated run.

A *violation* is a request that was not answered in time by its own deadline, refused and dropped ones included.
*Excess* is how late answers were.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from heterosis.scheduling import Refusal
from heterosis.simulation.outcome import Outcome
from heterosis.simulation.records import Floats, Integers
from heterosis.terms import Energy

PERCENTS = (50, 95, 99)


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of times, of answered requests or of decisions; None where there was none."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the requests."""

    name: str
    sizes: tuple[int, int]
    """The least and the largest."""
    requests: int
    violations: float
    """Share, 0..1."""
    excess_ms: float
    """Mean over the group's requests, 0 for those in time and those without an answer."""
    drops: dict[Refusal, int]


class EnergyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Energy by what it was spent on. Idle, dynamic, switching and starting add up to the total."""

    total: Energy
    idle: Energy
    dynamic: Energy
    switching: Energy
    starting: Energy
    wasted: Energy
    """Of the dynamic part: spent on requests that were not answered in time."""
    per_answer: Energy
    """The total by requests answered in time."""
    idle_by: dict[str, Energy]
    """The idle part by ``node/device/power mode``."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    requests: int
    answered: int
    duration_s: float
    attainment: float
    violations: float
    """Share of the requests, 0..1: one less the attainment."""
    excess_ms: float
    """Mean over all requests, 0 for those in time and those without an answer."""
    excess_of_late_ms: float | None
    """Mean over the late answers."""
    latency_ms: Spread
    waiting_ms: Spread
    """Time that a request's calls waited for their batches to begin, summed over its calls."""
    goodput_rps: float
    drops: dict[Refusal, int]
    classes: tuple[Group, ...]
    size_deciles: tuple[Group, ...]
    """Requests by size, a tenth in each group as far as equal sizes allow; ``10`` has the largest."""
    decision_us: Spread
    """Wall time that the core took for each event; measured only where `Setting.timed` asks for it."""
    energy: EnergyReport


def make_report(outcome: Outcome) -> Report:
    """Sum up a run."""
    records = outcome.records
    violated, latencies, sizes = records.violated, records.latencies, records.sizes
    excess_ms = np.nan_to_num(np.where(violated, latencies - records.limits, 0.0)) * 1e3
    answered = ~np.isnan(latencies)
    late = excess_ms[violated & answered]

    def group(name: str, which: npt.NDArray[np.bool_]) -> Group:
        return Group(
            name=name,
            sizes=(int(sizes[which].min()), int(sizes[which].max())),
            requests=int(which.sum()),
            violations=float(violated[which].mean()),
            excess_ms=float(excess_ms[which].mean()),
            drops=records.refusals(which),
        )

    return Report(
        requests=len(records),
        answered=int(answered.sum()),
        duration_s=outcome.duration_s,
        attainment=outcome.attainment,
        violations=float(violated.mean()) if len(records) else 0.0,
        excess_ms=float(excess_ms.mean()) if len(records) else 0.0,
        excess_of_late_ms=float(late.mean()) if len(late) else None,
        latency_ms=_spread(latencies[answered] * 1e3),
        waiting_ms=_spread(records.waits[answered] * 1e3),
        goodput_rps=outcome.goodput_rps,
        drops=records.refusals(),
        classes=tuple(group(name, records.kinds == number) for name, number in records.classes.items()),
        size_deciles=tuple(group(name, which) for name, which in _deciles(sizes)),
        decision_us=_spread(np.array(outcome.decision_s) * 1e6),
        energy=_energy(outcome),
    )


def _spread(values: Floats) -> Spread:
    if not len(values):
        return Spread(mean=None, p50=None, p95=None, p99=None)
    p50, p95, p99 = np.percentile(values, PERCENTS).tolist()
    return Spread(mean=float(values.mean()), p50=p50, p95=p95, p99=p99)


def _deciles(sizes: Integers) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Part requests by size; requests of one size stay together, and groups that are empty for that are left out."""
    if not len(sizes):
        return []
    parts = np.searchsorted(np.quantile(sizes, np.arange(0.1, 0.95, 0.1), method="lower"), sizes) + 1
    return [(str(part), parts == part) for part in np.unique(parts)]


def _energy(outcome: Outcome) -> EnergyReport:
    joules = outcome.joules
    in_time = outcome.requests - int(outcome.records.violated.sum())
    return EnergyReport(
        total=joules.total,
        idle=joules.idle,
        dynamic=joules.dynamic,
        switching=joules.switching,
        starting=joules.starting,
        wasted=joules.wasted,
        per_answer=joules.total * (1 / in_time) if in_time else Energy(),
        idle_by={"/".join(key): energy for key, energy in joules.idle_by.items()},
    )

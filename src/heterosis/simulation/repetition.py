"""Repeated runs: a mean of each figure, and how well it is known."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np

from heterosis.simulation.report import Report

CONFIDENCE = 0.95


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over independent runs with its 95 % Student t interval; bounds are None after a single run."""

    mean: float
    low: float | None
    high: float | None
    runs: int

    def __str__(self) -> str:
        """The mean, and how far the truth may lie from it."""
        return f"{self.mean:.4g}" if self.high is None else f"{self.mean:.4g} ± {self.high - self.mean:.2g}"


def interval(values: Sequence[float]) -> Interval:
    """Mean and interval of one figure."""
    mean, runs = float(np.mean(values)), len(values)
    if runs == 1:
        return Interval(mean=mean, low=None, high=None, runs=1)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, runs - 1)) * float(np.std(values, ddof=1)) / math.sqrt(runs)
    return Interval(mean=mean, low=mean - half, high=mean + half, runs=runs)


def repeat(make: Callable[[int], Report | Mapping[str, float | None]], seeds: Iterable[int]) -> dict[str, Interval]:
    """Run ``make`` with each seed, and give each figure's interval.

    Of a report every number is a figure, named by its way there: ``latency_ms.p99``, ``classes.large.violations``,
    ``energy.total.joules``. A figure that is None, or not there, in any of the runs is left out.
    """
    made = [make(seed) for seed in seeds]
    if not made:
        raise ValueError("no seeds: nothing was run")
    runs = [each if isinstance(each, Mapping) else figures(each) for each in made]
    found: dict[str, Interval] = {}
    for name in runs[0]:
        values = [value for run in runs if (value := run.get(name)) is not None]
        if len(values) == len(runs):
            found[name] = interval(values)
    return found


def figures(report: Report) -> dict[str, float | None]:
    """Return every number of a report by its way there."""
    found: dict[str, float | None] = {}
    _collect(msgspec.to_builtins(report), "", found)
    return found


def _collect(value: object, name: str, found: dict[str, float | None]) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            _collect(part, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, list | tuple):
        for part in value:
            if isinstance(part, dict):
                _collect({key: each for key, each in part.items() if key != "name"}, f"{name}.{part['name']}", found)
    elif value is None or isinstance(value, int | float):
        found[name] = value

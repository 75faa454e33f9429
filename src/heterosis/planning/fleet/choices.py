"""Which variants serve a pipeline: columns of the program, what they demand of each stage, and their accuracy.

Where accuracies multiply and fan-out is the same for all variants, a column for each variant of each stage is enough:
the logarithms of the accuracies add up. Their sum is exact where every stage runs one variant, and safe for a mix (the
mean of logarithms is at most the logarithm of the mean). Else there is a column for each combination of variants.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from heterosis.planning.fleet.task import Combination, Workload
from heterosis.terms.errors import UsageError

Variants = Mapping[str, tuple[str, ...]]
"""Names of the usable variants of each stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One column: the share of the requests that is served so."""

    calls_per_s: Mapping[tuple[str, str], float]
    """Calls of each stage and variant, if all requests are."""
    accuracy: float
    """What it adds to the sum that the floor is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The columns of one pipeline."""

    columns: tuple[Choice, ...]
    sums: tuple[tuple[int, ...], ...]
    """Columns, by position, whose shares add up to 1."""
    floor: float | None
    """What the accuracies must add up to at least."""


def choices(workload: Workload, usable: Variants, *, mix: bool) -> Choices:
    """Work out the columns of a pipeline.

    Raise UsageError where combinations are needed and too many.
    """
    if workload.judge is None and not workload.fan_out:
        return _by_stage(workload, usable)
    listed = workload.combinations(usable)
    if listed is None:
        raise UsageError(
            f"{workload.graph.pipeline!r} has too many combinations of variants to judge each; keep fewer variants"
        )
    return _by_combination(workload, listed, mix=mix)


def _by_combination(workload: Workload, listed: list[Combination], *, mix: bool) -> Choices:
    floor = workload.slo.min_accuracy
    rated = [(each, workload.accuracy(each)) for each in listed]
    if not mix and floor is not None:  # one of them must do alone
        rated = [(each, value) for each, value in rated if value >= floor]
    columns = []
    for each, value in rated:
        calls = workload.calls(each)
        demanded = {(stage, name): workload.rate_rps * calls[stage] for stage, name in each}
        columns.append(Choice(calls_per_s=demanded, accuracy=value))
    return Choices(columns=tuple(columns), sums=(tuple(range(len(columns))),), floor=floor)


def _by_stage(workload: Workload, usable: Variants) -> Choices:
    columns: list[Choice] = []
    sums = []
    for stage in workload.graph.stages:
        first = len(columns)
        rate = workload.rate_rps * workload.demand(stage).mean
        for name in usable[stage]:
            relative = workload.relative_accuracy(workload.variant(stage, name))
            loss = math.log(relative) if relative > 0 else -math.inf
            if math.isfinite(loss):
                columns.append(Choice(calls_per_s={(stage, name): rate}, accuracy=loss))
        sums.append(tuple(range(first, len(columns))))
    floor, reference = workload.slo.min_accuracy, workload.variants.reference_accuracy
    least = math.log(floor / reference) if floor and reference else None
    return Choices(columns=tuple(columns), sums=tuple(sums), floor=least)

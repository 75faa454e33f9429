"""Which variants serve a pipeline: columns of the program, what they demand of each stage, and their accuracy.

Where accuracies multiply and fan-out is the same for all variants, a column for each variant of each stage is enough:
the logarithms of the accuracies add up. Their sum is exact where every stage runs one variant, and safe for a mix (the
mean of logarithms is at most the logarithm of the mean). Else there is a column for each combination of variants.
Classes of requests that have floors of their own have columns of their own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heterosis.planning.fleet.task import Combination, Floor, Workload
from heterosis.terms.errors import UsageError

Variants = Mapping[str, tuple[str, ...]]
"""Names of the usable variants of each stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One column: the share of the requests that is served so."""

    calls_per_s: Mapping[tuple[str, str], float]
    """Calls of each stage and variant, if all requests are that it may serve."""
    accuracy: float
    """What it adds to the sum that the floor is compared with."""
    share: float
    """Of the pipeline's requests, those that it may serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The columns of one pipeline."""

    columns: tuple[Choice, ...]
    sums: tuple[tuple[int, ...], ...]
    """Columns, by position, whose shares add up to 1."""
    floors: tuple[tuple[str, tuple[int, ...], float | None], ...]
    """Classes of requests, their columns, and what the accuracies of these must add up to at least."""
    logarithms: bool
    """Whether accuracies are logarithms, relative to the reference's."""

    def most_calls_per_s(self) -> dict[str, float]:
        """The most calls of each stage that these can come to."""
        found: dict[str, float] = {}
        for columns in self.sums:
            most: dict[str, float] = {}
            for column in columns:
                for (stage, _), per_s in self.columns[column].calls_per_s.items():
                    most[stage] = max(most.get(stage, 0.0), per_s)
            for stage, per_s in most.items():
                found[stage] = found.get(stage, 0.0) + per_s
        return found


def choices(workload: Workload, usable: Variants, *, mix: bool) -> Choices:
    """Work out the columns of a pipeline.

    Raise UsageError where combinations are needed and too many.
    """
    if workload.judge is None and not workload.fan_out:
        return _by_stage(workload, usable, workload.floors(mix=mix))
    listed = workload.combinations(usable)
    if listed is None:
        raise UsageError(
            f"{workload.graph.pipeline!r} has too many combinations of variants to judge each; keep fewer variants"
        )
    return _by_combination(workload, listed, workload.floors(mix=mix), mix=mix)


def _by_combination(workload: Workload, listed: list[Combination], floors: Sequence[Floor], *, mix: bool) -> Choices:
    rated = [(each, workload.accuracy(each), workload.calls(each)) for each in listed]
    columns, parts = list[Choice](), []
    for name, share, floor in floors:
        first = len(columns)
        for each, accuracy, calls in rated:
            if mix or floor is None or accuracy >= floor:  # else one of them must do alone
                demanded = {(stage, name): share * workload.rate_rps * calls[stage] for stage, name in each}
                columns.append(Choice(calls_per_s=demanded, accuracy=accuracy, share=share))
        parts.append((name, tuple(range(first, len(columns))), floor))
    sums = tuple(of for _, of, _ in parts)
    return Choices(columns=tuple(columns), sums=sums, floors=tuple(parts), logarithms=False)


def _by_stage(workload: Workload, usable: Variants, floors: Sequence[Floor]) -> Choices:
    columns: list[Choice] = []
    sums, parts = [], []
    reference = workload.variants.reference_accuracy
    for request_class, share, floor in floors:
        begin = len(columns)
        for stage in workload.graph.stages:
            first = len(columns)
            rate = share * workload.rate_rps * workload.demand(stage).mean
            for name in usable[stage]:
                relative = workload.relative_accuracy(workload.variant(stage, name))
                loss = math.log(relative) if relative > 0 else -math.inf
                if math.isfinite(loss):
                    columns.append(Choice(calls_per_s={(stage, name): rate}, accuracy=loss, share=share))
            sums.append(tuple(range(first, len(columns))))
        least = math.log(floor / reference) if floor and reference else None
        parts.append((request_class, tuple(range(begin, len(columns))), least))
    return Choices(columns=tuple(columns), sums=tuple(sums), floors=tuple(parts), logarithms=True)

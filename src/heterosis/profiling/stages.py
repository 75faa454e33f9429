"""Profiles the variants of one stage."""

from collections.abc import Callable, Sequence

from heterosis.pipeline import FUNCTION
from heterosis.profiling.bench import ProbeError
from heterosis.profiling.points import Points
from heterosis.profiling.pruning import dominated, no_larger_batch, promising, threads_in_vain
from heterosis.profiling.settings import Budget, Progress
from heterosis.terms import Exclusion, OperatingPoint, Variant
from heterosis.terms.errors import StageError

Open = Callable[[Variant, int], Points]
"""Opens the points of a variant with so many threads."""


class StageProfiler:
    """Measures each variant with one thread first, then what is not dominated with more; batches grow while it pays.

    The first variant is the reference, which nothing is left out of for being dominated.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that the search depends on
        self,
        variants: Sequence[Variant],
        open_points: Open,
        budget: Budget,
        progress: Callable[[Progress], object],
        *,
        batches: Sequence[int],
        threads: Sequence[int],
        cap_ms: float,
        most_calls: int | None,
    ) -> None:
        """``batches`` and ``threads`` are in growing order."""
        self.points: list[OperatingPoint] = []
        self.excluded: list[Exclusion] = []
        self._variants = variants
        self._open = open_points
        self._budget = budget
        self._progress = progress
        self._batches = batches
        self._threads = threads
        self._cap_ms = cap_ms
        self._most_calls = most_calls
        self._firsts: dict[Variant, OperatingPoint] = {}

    def run(self) -> None:
        """Fill ``points`` and ``excluded``. Raise StageError where not one variant can be measured."""
        reference, *others = self._variants
        ordered = [reference, *sorted(others, key=promising)]
        for variant in ordered:
            self._configuration(variant, threads_of(variant, self._threads)[0], self._grow_first)
        if not self._firsts:
            reason = self.excluded[0].reason
            raise StageError(f"stage {reference.stage!r}: no variant can be measured; {reference.name}: {reason}")
        for variant in ordered:
            for threads in threads_of(variant, self._threads)[1:]:
                self._configuration(variant, threads, self._grow_further)

    def _configuration(self, variant: Variant, threads: int, grow: Callable[[Points], str | None]) -> None:
        """Measure one configuration, and note what was left out of it."""
        self._budget.begin()
        with self._open(variant, threads) as points:
            try:
                reason = grow(points)
            except ProbeError as error:
                reason = f"failed: {error}"
        if reason:
            name = f"{variant.name}, {threads or 'all'} thread{'' if threads == 1 else 's'}"
            self.excluded.append(Exclusion(stage=variant.stage, name=name, reason=reason))
        self._budget.end()

    def _grow_first(self, points: Points) -> str | None:
        """With the first number of threads: one point of each variant, more of those that are not dominated."""
        variant = points.variant
        first = self._firsts[variant] = self._point(points, self._batches[0])
        reason = self._dominated(variant)
        return self._larger(first, reason) if reason else self._grow(points, [first])

    def _grow_further(self, points: Points) -> str | None:
        """With more threads: only what is not dominated, and larger batches only where the threads help."""
        variant = points.variant
        if variant not in self._firsts:
            return "not tried, as it failed with fewer threads"
        reason = self._dominated(variant) or points.out_of_time(self._batches[0], self._budget)
        if reason:
            return f"not measured: {reason}"
        first = self._point(points, self._batches[0])
        reason = threads_in_vain(first, self._firsts[variant])
        return self._larger(first, reason) if reason else self._grow(points, [first])

    def _grow(self, points: Points, measured: list[OperatingPoint]) -> str | None:
        """Measure larger batches while that pays; return why the rest was left out, None where nothing was."""
        for batch in self._batches[1:]:
            reason = no_larger_batch(measured, self._cap_ms, self._most_calls)
            reason = reason or points.out_of_time(batch, self._budget)
            if reason:
                return self._larger(measured[-1], reason)
            measured.append(self._point(points, batch))
        return None

    def _dominated(self, variant: Variant) -> str | None:
        if variant is self._variants[0]:
            return None
        others = {other: point for other, point in self._firsts.items() if other is not variant}
        return dominated(variant, self._firsts[variant], others)

    def _larger(self, last: OperatingPoint, reason: str) -> str:
        return f"batches above {last.batch} not measured: {reason}"

    def _point(self, points: Points, batch: int) -> OperatingPoint:
        if not points.knows(batch):
            self._tell(points, batch, None)
        point = points.at(batch, self._budget.seconds_per_point())
        self.points.append(point)
        self._budget.done += 1
        self._tell(points, batch, point)
        return point

    def _tell(self, points: Points, batch: int, point: OperatingPoint | None) -> None:
        self._progress(
            Progress(
                stage=points.variant.stage,
                variant=points.variant.name,
                threads=points.record.subject.threads,
                batch=batch,
                done=self._budget.done,
                total=self._budget.total,
                point=point,
            )
        )


def threads_of(variant: Variant, threads: Sequence[int]) -> Sequence[int]:
    """Numbers of threads to measure a variant with; a stage without a model has no engine to give them to."""
    return (1,) if variant.engine == FUNCTION else threads

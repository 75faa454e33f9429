"""Which points to measure: a coarse grid, and then those that could change the plan.

The coarse grid is every variant once, and each stage's reference also with more threads, in a larger batch, and in
every power mode, which tells how the stage scales. After that the search is led by hope: it plans with every point that
was not measured as good as it may be (`Predictor`), and measures what that plan uses. When such a plan uses nothing but
what was measured, or hardly costs less than one that does, no other point can change the plan, unless it is better than
its interval allows. That is optimism in the face of uncertainty, for combinatorial problems: Chen, Wang, Yuan,
"Combinatorial multi-armed bandit" (ICML 2013); with exact measurements, the lazy search of Dellin and Srinivasa (ICAPS
2016).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from heterosis.profiling.bench import ProbeError
from heterosis.profiling.points import Points
from heterosis.profiling.prediction import SURE, Place, Predictor
from heterosis.profiling.settings import Budget, Progress
from heterosis.terms import Choice, ColdStart, Configuration, Exclusion, OperatingPoint
from heterosis.terms.errors import StageError


class Decide(Protocol):
    """Somebody who plans with points, and whom the search measures for."""

    def __call__(self, points: Sequence[OperatingPoint]) -> Choice | None:
        """Return what the best plan with these points would rest on; None where there is no plan."""
        ...

    def settle(self, known: Sequence[OperatingPoint]) -> bool:
        """Look at the plan of the measured points more closely; say whether other points may matter since."""
        ...


Open = Callable[[Configuration], Points]
"""Opens the points of a configuration."""

COARSE_BATCH = 8

WORTHWHILE = 0.01
"""What could save less than this share of a plan's cost is not measured."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """The grid of one stage. The first variant is the reference; configurations and batches are in growing order."""

    stage: str
    configurations: Mapping[str, Sequence[Configuration]]
    """By the names of the variants."""
    batches: Sequence[int]

    @property
    def places(self) -> Iterator[Place]:
        """All of the grid."""
        for configurations in self.configurations.values():
            for configuration in configurations:
                yield from ((configuration, batch) for batch in self.batches)

    @property
    def firsts(self) -> Iterator[Configuration]:
        """Every variant once, the reference everywhere."""
        for number, configurations in enumerate(self.configurations.values()):
            yield from configurations if number == 0 else configurations[:1]


class Search:
    """Measures what a plan depends on; fills ``known``, and says in ``excluded`` why the rest was left."""

    def __init__(
        self,
        fields: Sequence[Field],
        open_points: Open,
        budget: Budget,
        progress: Callable[[Progress], object],
        cap_ms: float,
    ) -> None:
        """A batch that takes longer than ``cap_ms`` ends the search for larger ones of its configuration."""
        self.known: dict[Place, OperatingPoint] = {}
        self.cold_starts: dict[Configuration, ColdStart] = {}
        self.failed: dict[Configuration, str] = {}
        self.settled = False
        """Whether no point that was left out can change the plan."""
        self.chosen: frozenset[Place] = frozenset()
        """What the plans rest on that were decided on."""
        self._fields = {field.stage: field for field in fields}
        self._open = open_points
        self._budget = budget
        self._progress = progress
        self._cap_ms = cap_ms
        self._recorded = {
            configuration: self._recall(configuration)
            for field in fields
            for configuration in dict.fromkeys(configuration for configuration, _ in field.places)
        }

    def all(self) -> None:
        """Measure all of the grid, but for batches larger than one that takes longer than the cap.

        Where time may be over before, the coarse grid comes first; that starts a process twice.
        """
        if math.isfinite(self._budget.seconds):
            self.coarse()
        self._measure(self._grid())
        self._check_stages()
        self.settled = not self._budget.over

    def coarse(self) -> None:
        """Measure the coarse grid, however long that takes. Raise StageError where not one variant can be measured."""
        fields = self._fields.values()
        self._measure([(configuration, 1) for field in fields for configuration in field.firsts], always=True)
        self._check_stages()
        self._measure([place for field in fields for place in self._middle(field)], always=True)

    def refine(self, decide: Decide) -> None:
        """Measure what could change the plan that is decided on, as far as time allows."""
        self.settled = False
        while True:
            known = list(self.known.values())
            now, hoped = decide(known), decide(self.hopeful())
            wanted = [place for place in self._grid() if hoped and place in hoped.uses and place not in self.known]
            if not wanted or (now and hoped and now.cost - hoped.cost <= WORTHWHILE * abs(now.cost)):
                if decide.settle(known):
                    continue
                self.chosen |= now.uses if now else frozenset()
                self.settled = True
                return
            if self._budget.over:
                return
            self._measure(wanted)

    def hopeful(self) -> list[OperatingPoint]:
        """Return the grid with every point that was not measured as good as it may be."""
        found: list[OperatingPoint] = []
        for field in self._fields.values():
            known = [point for (each, _), point in self.known.items() if each.stage == field.stage]
            found += known
            open_to_doubt = [place for place in field.places if place not in self.known and place[0] not in self.failed]
            hopes = Predictor(known).points(open_to_doubt, -SURE)
            found += [point for point in hopes if point.latency.p50_ms <= self._cap_ms]
        return found

    @property
    def excluded(self) -> Iterator[Exclusion]:
        """What was not measured, by configuration, and why."""
        for field in self._fields.values():
            for configurations in field.configurations.values():
                for configuration in configurations:
                    reason = self._why_not(configuration, field.batches)
                    if reason:
                        yield Exclusion(stage=field.stage, name=in_words(configuration), reason=reason)

    def _why_not(self, configuration: Configuration, batches: Sequence[int]) -> str | None:
        if configuration in self.failed:
            return f"failed: {self.failed[configuration]}"
        missing = [batch for batch in batches if (configuration, batch) not in self.known]
        if not missing:
            return None
        listed = ", ".join(map(str, missing))
        past = [batch for batch in batches if self._past_cap(configuration, batch)]
        if missing == past:
            return f"batches above {batches[len(batches) - len(past) - 1]} take more than {self._cap_ms:g} ms"
        if not self.settled:
            return f"batch {listed} not measured: the time budget of {self._budget.seconds:g} s was over"
        return f"batch {listed} not measured: at its best it would not be in the plan"

    def _past_cap(self, configuration: Configuration, batch: int) -> bool:
        """Whether a smaller batch took longer than the cap."""
        return any(
            each == configuration and smaller < batch and point.latency.p50_ms > self._cap_ms
            for (each, smaller), point in self.known.items()
        )

    def _middle(self, field: Field) -> Iterator[Place]:
        """Yield the reference's place that tells how the stage scales with the batch, within the cap."""
        reference = next(field.firsts)
        first = self.known.get((reference, 1))
        fitting = [
            batch
            for batch in field.batches
            if first and 1 < batch <= COARSE_BATCH and batch * first.latency.p50_ms <= self._cap_ms
        ]
        if fitting:
            yield reference, fitting[-1]

    def _grid(self) -> Iterator[Place]:
        for field in self._fields.values():
            yield from field.places

    def _recall(self, configuration: Configuration) -> Points:
        points = self._open(configuration)
        self.known |= {(configuration, point.batch): point for point in points.known()}
        self._note(points)
        return points

    def _note(self, points: Points) -> None:
        start = points.cold_start()
        if start is not None:
            self.cold_starts[points.configuration] = start

    def _measure(self, places: Iterable[Place], *, always: bool = False) -> None:
        """Measure those that are not known yet, by configuration."""
        wanted = [place for place in places if place not in self.known]
        self._budget.expect(len(wanted))
        for configuration in dict.fromkeys(configuration for configuration, _ in wanted):
            with self._recorded[configuration] as points:
                for batch in [batch for each, batch in wanted if each == configuration]:
                    if configuration in self.failed or self._past_cap(configuration, batch):
                        self._budget.settle()
                        continue
                    if self._budget.over and not always:
                        return
                    self._point(points, batch)

    def _point(self, points: Points, batch: int) -> None:
        self._tell(points.configuration, batch, None)
        try:
            point = points.measure(batch, self._budget.seconds_per_point())
        except ProbeError as error:
            self.failed[points.configuration] = str(error)
            self._budget.settle()
            return
        self.known[points.configuration, batch] = point
        self._note(points)
        self._budget.settle()
        self._tell(points.configuration, batch, point)

    def _check_stages(self) -> None:
        for stage, field in self._fields.items():
            if not any(configuration.stage == stage for configuration, _ in self.known):
                reference, configurations = next(iter(field.configurations.items()))
                raise StageError(
                    f"stage {stage!r}: no variant can be measured; {reference}: {self.failed[configurations[0]]}"
                )

    def _tell(self, configuration: Configuration, batch: int, point: OperatingPoint | None) -> None:
        self._progress(
            Progress(
                stage=configuration.stage,
                variant=configuration.variant,
                threads=configuration.threads,
                batch=batch,
                done=self._budget.done,
                total=self._budget.total,
                point=point,
            )
        )


def in_words(configuration: Configuration) -> str:
    """Name a configuration of a stage for people."""
    threads = configuration.threads
    mode = configuration.power_mode
    where = "" if mode == "default" else f", {configuration.device_type} in {mode}"
    return f"{configuration.variant}, {threads or 'all'} thread{'' if threads == 1 else 's'}{where}"

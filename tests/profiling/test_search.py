"""The search for points that could change a plan, on tables instead of processes."""

from collections.abc import Mapping, Sequence
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.profiling.bench import ProbeError
from heterosis.profiling.prediction import Place
from heterosis.profiling.search import WORTHWHILE, Field, Search
from heterosis.profiling.settings import Budget, Progress
from heterosis.terms import Choice, ColdStart, Configuration, Latency, OperatingPoint
from heterosis.terms.errors import StageError

BATCHES = (1, 2, 4, 8)


class Table:
    """Truth: the points of one configuration."""

    def __init__(self, configuration: Configuration, truth: Mapping[Place, OperatingPoint]) -> None:
        """Look them up here."""
        self.configuration = configuration
        self._truth = truth

    def known(self) -> list[OperatingPoint]:
        """Nothing was recorded."""
        return []

    def measure(self, batch: int, _seconds: float) -> OperatingPoint:
        """Look a point up; one that is not there fails."""
        try:
            return self._truth[self.configuration, batch]
        except KeyError:
            raise ProbeError("it does not load") from None

    def cold_start(self) -> ColdStart | None:
        """Nothing is started."""
        return None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


def at(variant: str, threads: int = 1) -> Configuration:
    """Make a configuration."""
    return Configuration(stage="s", variant=f"{variant}/e-fp32", device_type="cpu", threads=threads)


def point(configuration: Configuration, batch: int, ms: float) -> OperatingPoint:
    """Make a point that takes so long."""
    return OperatingPoint(
        configuration=configuration,
        batch=batch,
        latency=Latency(mean_ms=ms, p50_ms=ms, p95_ms=ms, p99_ms=ms),
        cpu_ms=ms * configuration.threads,
    )


def search(truth: Mapping[Place, OperatingPoint], names: Sequence[str], cap_ms: float = 1e9) -> Search:
    """Search a truth; told is nobody."""
    variants = {at(name).variant: [at(name), at(name, 2)] for name in names}
    field = Field(stage="s", configurations=variants, batches=BATCHES)

    def told(_: Progress) -> None:
        pass

    return Search([field], lambda each: Table(each, truth), Budget(60.0), told, cap_ms)  # type: ignore[arg-type, return-value]


class CheapestItem:
    """Decides on what takes least CPU time for an item, perhaps of a few configurations alone."""

    def __init__(self, *tightened: Configuration) -> None:
        """When it looks more closely, it takes none but these."""
        self._tightened = tightened
        self._allowed: tuple[Configuration, ...] = ()

    def __call__(self, points: Sequence[OperatingPoint]) -> Choice | None:
        """Choose one."""
        allowed = [each for each in points if each.configuration in (self._allowed or (each.configuration,))]
        best = min(allowed, key=lambda each: each.cpu_ms / each.batch)
        return Choice(cost=best.cpu_ms / best.batch, uses=frozenset({(best.configuration, best.batch)}))

    def settle(self, _known: Sequence[OperatingPoint]) -> bool:
        """Tighten, once."""
        changed = self._allowed != self._tightened
        self._allowed = self._tightened
        return changed


def scaled(name: str, speed: float, threads_gain: float, batch_gain: float) -> dict[Place, OperatingPoint]:
    """How a variant scales: by powers of threads and batch."""
    return {
        (at(name, threads), batch): point(
            at(name, threads), batch, 10 * speed * batch**batch_gain / threads**threads_gain
        )
        for threads in (1, 2)
        for batch in BATCHES
    }


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(0.3, 3.0), st.floats(0.4, 0.9), st.floats(0.9, 1.02)), min_size=2, max_size=8))
def test_what_it_settles_on_is_best(kinds: list[tuple[float, float, float]]) -> None:
    """Where the truth lies within what was thought possible, the choice is that of the whole grid."""
    names = [f"v{number}" for number in range(len(kinds))]
    truth = {
        place: found for name, kind in zip(names, kinds, strict=True) for place, found in scaled(name, *kind).items()
    }
    searching = search(truth, names)
    searching.coarse()
    searching.refine(CheapestItem())
    known = list(searching.known.values())
    assert searching.settled
    found, best = CheapestItem()(known), CheapestItem()(list(truth.values()))
    assert found
    assert best
    assert found.cost <= best.cost / (1 - WORTHWHILE)
    assert searching.chosen == found.uses
    assert set(searching.known.values()) <= set(truth.values())


def test_few_points_are_needed() -> None:
    """Of ten variants of which one is twice as fast as the others, no other is measured any further."""
    names = [f"v{number}" for number in range(10)]
    truth = {
        place: found for name in names for place, found in scaled(name, 0.4 if name == "v7" else 1.0, 0.7, 0.97).items()
    }
    searching = search(truth, names)
    searching.coarse()
    assert len(searching.known) == 12
    searching.refine(CheapestItem())
    assert {each.variant for each, batch in searching.known if batch > 1} == {"v0/e-fp32", "v7/e-fp32"}
    assert len(searching.known) < len(truth) / 4


def test_what_fails_is_left_out_with_the_reason() -> None:
    """A variant that cannot be measured hopes for nothing; where it is the only one, that is an error."""
    truth = scaled("good", 1.0, 0.7, 1.0)
    searching = search(truth, ["good", "bad"])
    searching.coarse()
    searching.refine(CheapestItem())
    reasons = {each.name: each.reason for each in searching.excluded}
    assert reasons["bad/e-fp32, 1 thread"] == "failed: it does not load"
    with pytest.raises(StageError, match="stage 's': no variant can be measured; bad/e-fp32: it does not load"):
        search({}, ["bad"]).coarse()


def test_no_batch_above_one_that_takes_longer_than_the_cap() -> None:
    """The grid ends there, and says so; nothing hopes for such a batch."""
    truth = scaled("a", 1.0, 0.7, 1.0)
    searching = search(truth, ["a"], cap_ms=15)
    searching.all()
    assert [batch for each, batch in searching.known if each.threads == 1] == [1, 2]
    reasons = {each.name: each.reason for each in searching.excluded}
    assert reasons["a/e-fp32, 1 thread"] == "batches above 2 take more than 15 ms"
    assert max(each.batch for each in searching.hopeful() if each.configuration.threads == 1) == 2


def test_where_no_plan_is_possible_at_best_it_ends() -> None:
    """Nothing is measured for a plan that cannot be."""

    class Never(CheapestItem):
        def __call__(self, points: Sequence[OperatingPoint]) -> None:  # noqa: ARG002 - never
            return None

    searching = search(scaled("a", 1.0, 0.7, 1.0), ["a"])
    searching.coarse()
    searching.refine(Never())
    assert len(searching.known) == 3
    assert searching.settled


def test_a_closer_look_can_ask_for_more() -> None:
    """Where the plan does not hold when it is tried, what the next best one would rest on is measured, too."""
    truth = scaled("a", 1.0, 0.7, 0.9) | scaled("b", 3.0, 0.7, 0.9)
    searching = search(truth, ["a", "b"])
    searching.coarse()
    searching.refine(CheapestItem(at("b")))
    assert searching.chosen == {(at("b"), 8)}
    assert searching.settled

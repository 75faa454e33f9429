"""Sharing out slots."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.options import Candidate, enumerate_options
from heterosis.planning.packing import pack
from heterosis.terms import Slo
from heterosis.testing.snapshots import chain, point, snapshot, variant


def options(slots: int, wanted: list[tuple[int, float]]) -> list[Candidate]:
    """Return one option per stage: of so many threads, and a run time."""
    stages = [f"s{number}" for number in range(len(wanted))]
    points = [
        point(variant(stage), threads, 1, run_ms) for stage, (threads, run_ms) in zip(stages, wanted, strict=True)
    ]
    base = snapshot(
        chain({stage: [1] for stage in stages}),
        [variant(stage) for stage in stages],
        points,
        slo=Slo(latency_ms=1e6),
        slots=slots,
    )
    return [each for each in enumerate_options(base)[0] if each.instances == 1]


def busiest(slots: int, placed: list[tuple[Candidate, int]]) -> float:
    """Return the time that the busiest slot gives, counted slot by slot."""
    return max(
        sum(each.load_ms for each, start in placed if start <= slot < start + each.slots) for slot in range(slots)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda slots: st.tuples(
            st.just(slots), st.lists(st.tuples(st.integers(1, slots), st.floats(1, 100)), min_size=1, max_size=5)
        )
    )
)
def test_no_way_of_sharing_slots_is_better(case: tuple[int, list[tuple[int, float]]]) -> None:
    """The packing found is as good as the best of all, and its load is as it says."""
    slots, wanted = case
    chosen = options(slots, wanted)
    (packing,) = pack(chosen)
    everywhere = product(*(range(slots - each.slots + 1) for each in chosen))
    best = min(busiest(slots, list(zip(chosen, starts, strict=True))) for starts in everywhere)
    assert packing.load_ms <= best * (1 + 1e-9)
    assert abs(busiest(slots, [(each, packing.starts[each.stage]) for each in chosen]) - packing.load_ms) < 1e-9


def test_single_instances_take_slots_of_their_own() -> None:
    """Three stages of one thread on three slots: one each."""
    (packing,) = pack(options(3, [(1, 10.0), (1, 20.0), (1, 15.0)]))
    assert sorted(packing.starts.values()) == [0, 1, 2]
    assert packing.load_ms == 20

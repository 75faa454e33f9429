"""Headroom: what instances can bear, by hand and in proportion."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet.changes.headroom import Headroom, load_of, needed
from heterosis.testing.two_kinds import draw, one_mode, tasks

seeds = st.integers(0, 10_000)


def test_stages_that_take_turns_on_a_device_share_its_time() -> None:
    """Two devices for both stages: their time, by what a call of each takes."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 2, 10.0)
    headroom = Headroom(plan.points, {"stage0": 10.0, "stage1": 30.0})
    means = {point.configuration: point.latency.mean_ms / 4e3 for point in plan.points if point.batch == 4}
    of = {placement.configuration.stage: means[placement.configuration] for placement in plan.placements}
    assert headroom.of(plan.placements) == pytest.approx(2 / (10.0 * of["stage0"] + 30.0 * of["stage1"]))


def test_instances_on_slots_of_their_own_run_side_by_side_and_one_runs_a_batch_at_a_time() -> None:
    """Twice the instances on twice the slots bear twice as much; twice the slots for one instance, nothing more."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 1, 10.0)
    (first, _) = plan.placements
    headroom = Headroom(plan.points, {"stage0": 10.0})
    second = msgspec.structs.replace(first, instance="second", slots=(1,))
    wide = msgspec.structs.replace(first, slots=(0, 1))
    assert headroom.of([first, second]) == pytest.approx(2 * headroom.of([first]))
    assert headroom.of([wide]) == pytest.approx(headroom.of([first]))
    sharer = msgspec.structs.replace(first, instance="sharer")
    assert headroom.of([first, sharer]) == pytest.approx(headroom.of([first]))


@given(seeds, st.floats(0.1, 10.0))
@settings(max_examples=30, deadline=None)
def test_more_instances_bear_no_less_and_a_larger_load_is_borne_less_often(seed: int, times: float) -> None:
    """It grows with the instances, and falls as the load grows."""
    _, plan, other = draw(seed)
    points, load = (*plan.points, *other.points), load_of(plan)
    headroom = Headroom(points, load)
    larger = Headroom(points, {stage: times * per_s for stage, per_s in load.items()})
    alone = headroom.of(plan.placements)
    names = {placement.instance for placement in plan.placements}
    added = [placement for placement in other.placements if placement.instance not in names]
    assert headroom.of([*plan.placements, *added]) >= alone * (1 - 1e-9)
    assert larger.of(plan.placements) == pytest.approx(alone / times)


def test_no_load_is_borne_by_anything_and_no_instance_bears_any() -> None:
    """From everything to nothing."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 1, 10.0)
    assert Headroom(plan.points, {"stage0": 0.0}).of(plan.placements) == math.inf
    assert Headroom(plan.points, {"stage0": 1.0}).of([]) == 0.0
    assert Headroom(plan.points, {"another": 1.0}).of(plan.placements) == 0.0
    assert needed(Headroom(plan.points, {"stage0": 0.0}), plan.placements) == pytest.approx(1 / 0.9)
    assert needed(Headroom(plan.points, {"stage0": 1.0}), plan.placements, []) == 0.0

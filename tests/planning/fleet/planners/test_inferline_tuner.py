"""InferLine's tuner: up at once, down after a while, within the fleet."""

import numpy as np
import pytest

from heterosis.planning.fleet import Allotment, Task
from heterosis.planning.fleet.planners.inferline import inferline
from heterosis.planning.fleet.planners.inferline_tuner import HOLD_S, Tuner
from heterosis.testing.tasks import make_task


def planned(devices: int = 30) -> tuple[Task, Allotment]:
    """A plan for 20 requests per second."""
    task = make_task(2, devices=devices, batches=(1,))
    found = inferline(task)
    assert found is not None
    return task, found


def counts(found: Allotment) -> list[int]:
    """Devices of each stage."""
    return [share.count for share in found.shares]


def poisson(tuner: Tuner, rate: float, begin: float, end: float) -> list[list[int]]:
    """Offer arrivals at a rate, tune every second, and tell the counts."""
    rng = np.random.default_rng(int(begin))
    found = []
    for second in np.arange(begin, end):
        for at in np.sort(rng.uniform(second, second + 1, rng.poisson(rate))):
            tuner.note(float(at))
        found.append(counts(tuner.tune(second + 1)))
    return found


def test_the_planned_load_asks_for_no_more_than_was_planned() -> None:
    """Chance alone exceeds no envelope."""
    task, found = planned()
    tuned = poisson(Tuner(task, found), 20, 0, 120)
    assert max(map(sum, tuned)) == sum(counts(found))


def test_four_times_the_load_gets_about_four_times_the_replicas_within_seconds() -> None:
    """``ceil(r s / (mu rho))`` for the highest rate that exceeds, so at least in proportion."""
    task, found = planned()
    tuner = Tuner(task, found)
    poisson(tuner, 20, 0, 60)
    tuned = poisson(tuner, 80, 60, 70)
    for before, after in zip(counts(found), tuned[-1], strict=True):
        assert 3.5 * before <= after <= 15 * before  # short windows see more than the mean


def test_replicas_go_only_after_the_hold() -> None:
    """And then fall back to what the load needs."""
    task, found = planned()
    tuner = Tuner(task, found)
    poisson(tuner, 20, 0, 60)
    peak = poisson(tuner, 80, 60, 70)[-1]
    after = poisson(tuner, 20, 70, 200)
    assert after[int(HOLD_S) // 2] >= peak
    assert sum(after[-1]) <= 2 * sum(counts(found))


def test_the_fleet_is_the_limit_and_every_stage_keeps_a_device() -> None:
    """However much comes."""
    task, found = planned(devices=4)
    tuned = poisson(Tuner(task, found), 500, 0, 30)[-1]
    assert min(tuned) >= 1
    for number, kind in enumerate(task.kinds):
        used = sum(count for share, count in zip(found.shares, tuned, strict=True) if share.group[0] == number)
        assert used <= len(kind.units)


def test_nothing_at_all_leaves_one_device_a_stage() -> None:
    """It never switches a stage off."""
    task, found = planned()
    assert counts(Tuner(task, found).tune(100.0)) == pytest.approx([1] * len(found.shares))

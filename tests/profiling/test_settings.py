"""Sharing out the time."""

import time

import pytest

from heterosis.profiling.settings import LONGEST_POINT_S, SHORTEST_POINT_S, YET_TO_COME, Budget


def test_points_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its part of what is left, with time kept for what will be wanted later."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = Budget(60.0)
    budget.expect(10)
    assert budget.seconds_per_point() == 60 / (10 + YET_TO_COME) / 2 < LONGEST_POINT_S
    now[0] += 40
    assert budget.seconds_per_point() == 20 / (10 + YET_TO_COME) / 2
    assert not budget.over
    now[0] += 20
    assert budget.over
    assert budget.seconds_per_point() == SHORTEST_POINT_S


def test_the_total_is_what_is_known_to_be_wanted() -> None:
    """More may be wanted after what was wanted first is settled."""
    budget = Budget(1.0)
    budget.expect(2)
    budget.settle()
    budget.settle()
    assert (budget.done, budget.total) == (2, 2)
    budget.expect(3)
    assert (budget.done, budget.total) == (2, 5)

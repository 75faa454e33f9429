"""Sharing out the time."""

import time

import pytest

from heterosis.profiling.settings import LONGEST_POINT_S, MEASURED, POINTS, SHORTEST_POINT_S, Budget


def test_configurations_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its part of what is left, what is left over goes to the next, and an overrun is shared by all."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = Budget(60.0, configurations=10, batches=4)
    budget.begin()
    assert budget.seconds_per_point() == min(LONGEST_POINT_S, 60 / (10 * MEASURED) / POINTS / 2)
    assert not budget.over
    now[0] += 60 / (10 * MEASURED)
    assert budget.over
    assert budget.seconds_per_point() == SHORTEST_POINT_S
    budget.end()
    budget.begin()
    assert not budget.over
    now[0] += 49.0
    assert budget.over
    budget.end()
    budget.begin()
    now[0] += 1.0
    assert budget.over


def test_all_points_are_settled_in_the_end() -> None:
    """Every configuration settles as many points as it could have."""
    budget = Budget(1.0, configurations=3, batches=4)
    assert (budget.done, budget.total) == (0, 12)
    for settled in (4, 8, 12):
        budget.begin()
        budget.done += 1
        budget.end()
        assert budget.done == settled

"""The loop under random faults, for a shorter time than `python -m benchmarks loop-soak-virtual`."""

import pytest

from benchmarks.loop_soak import run_virtual


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_under_random_faults(seed: int) -> None:
    """Kills, slowdowns, bursts; the scheduler's books are right after every step, and every request ends once."""
    found = run_virtual(duration_s=90.0, rate=3.0, seed=seed)
    assert found["requests"] > 100
    assert found["attainment"] > 0.8

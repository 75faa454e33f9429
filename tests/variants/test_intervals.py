"""How sure an accuracy is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.variants.intervals import change_interval, mean_interval

scores = st.lists(st.floats(0, 1), min_size=2, max_size=30)


def test_right_and_wrong_have_wilsons_interval() -> None:
    """45 right of 50, as textbooks have it; all right is no proof of perfection."""
    assert mean_interval([1.0] * 45 + [0.0] * 5) == pytest.approx((0.786, 0.957), abs=1e-3)
    assert mean_interval([1.0] * 10) == pytest.approx((0.722, 1.0), abs=1e-3)


@given(scores)
def test_the_mean_lies_in_its_interval(values: list[float]) -> None:
    """Which itself lies in 0..1."""
    interval = mean_interval(values)
    assert interval is not None
    assert -1e-9 <= interval[0] <= sum(values) / len(values) + 1e-9
    assert sum(values) / len(values) - 1e-9 <= interval[1] <= 1 + 1e-9


def test_changes_are_paired_by_samples() -> None:
    """Samples of very different difficulty do not blur a small loss that all share."""
    reference = [0.2, 0.5, 0.9, 0.4, 1.0, 0.7]
    low, high = change_interval([score - 0.01 * n for n, score in enumerate(reference)], reference) or (0, 0)
    assert -0.05 < low < -0.025 < high < 0
    assert change_interval(reference, reference) == (0.0, 0.0)


def test_no_difference_in_a_few_verdicts_is_no_proof() -> None:
    """Where samples are right or wrong, some that were not tried may differ; more samples leave less room."""
    few, many = (change_interval([1.0] * n, [1.0] * n) for n in (10, 1000))
    assert few is not None
    assert many is not None
    assert few[0] < -0.1 < 0.1 < few[1]
    assert -0.01 < many[0] < 0 < many[1] < 0.01


def test_one_sample_says_nothing() -> None:
    """There is no interval of it."""
    assert mean_interval([1.0]) is None
    assert change_interval([1.0], [1.0]) is None

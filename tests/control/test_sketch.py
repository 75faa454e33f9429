"""Quantiles within their promised error, in bounded memory."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heterosis.control.sketch import ACCURACY, MOST_BINS, Sketch

values = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200)


@given(values, st.sampled_from([0.0, 50.0, 95.0, 99.0, 100.0]))
def test_quantiles_are_within_one_per_cent(seen: list[float], percent: float) -> None:
    """Of the value that stands at that rank, as the paper promises."""
    sketch = Sketch()
    for value in seen:
        sketch.add(value)
    found = sketch.quantile(percent)
    exact = float(np.percentile(seen, percent, method="lower"))
    assert found is not None
    assert math.isclose(found, exact, rel_tol=1.01 * ACCURACY)
    assert math.isclose(sketch.mean, sum(seen) / len(seen), rel_tol=1e-9)


def test_memory_is_bounded_and_the_high_quantiles_stay_right() -> None:
    """The lowest bins are taken together when there are too many."""
    sketch = Sketch()
    for exponent in np.linspace(-20, 60, 20_000):
        sketch.add(float(2.0**exponent))
    assert len(sketch._bins) <= MOST_BINS  # noqa: SLF001
    assert math.isclose(sketch.quantile(99) or 0, 2.0 ** (-20 + 80 * 0.99), rel_tol=0.02)


def test_nothing_seen_is_no_quantile() -> None:
    """None, not 0."""
    assert Sketch().quantile(50) is None

"""Energy keeps its quality; the unknown stays unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.terms import UNKNOWN, Energy, Quality

KNOWN = st.builds(
    Energy, st.floats(0, 1e6), st.sampled_from([quality for quality in Quality if quality is not Quality.NONE])
)
ANY = KNOWN | st.just(UNKNOWN)


@given(ANY, ANY)
def test_a_sum_is_no_better_than_its_parts(left: Energy, right: Energy) -> None:
    """An unknown part makes the sum unknown; else the worse quality counts."""
    total = left + right
    order = list(Quality)
    assert order.index(total.quality) == max(order.index(left.quality), order.index(right.quality))
    assert (total.joules is None) == (left.joules is None or right.joules is None)


@given(KNOWN, st.floats(0, 10))
def test_scaling_keeps_the_quality(energy: Energy, factor: float) -> None:
    """A share of a measured amount is as good as the whole."""
    assert (energy * factor).quality is energy.quality


def test_unknown_energy_is_never_zero() -> None:
    """Joules without a quality, or the other way round, cannot be made."""
    with pytest.raises(ValueError, match="unknown energy"):
        Energy(0.0)
    with pytest.raises(ValueError, match="unknown energy"):
        Energy(None, Quality.COUNTER)

"""How full batches get."""

from hypothesis import given
from hypothesis import strategies as st

from heterosis.planning.fleet.waits import at_once, filled


@given(
    batch=st.integers(1, 64),
    open_s=st.floats(0.0, 10.0),
    rate=st.floats(0.1, 1e4),
    together=st.floats(1.0, 30.0),
)
def test_batches_hold_what_comes_together_and_never_more_than_they_may(
    batch: int, open_s: float, rate: float, together: float
) -> None:
    """Sums of small chances are rounded; nothing is looked up beyond the largest batch for that."""
    found = filled(batch, open_s, rate, together)
    assert min(together, batch) * (1 - 1e-9) <= found <= batch


def test_the_rest_of_a_group_leaves_in_a_batch_of_its_own() -> None:
    """Groups of different sizes count by how often they come."""
    assert at_once(16, {18: 1.0}) == 9
    assert at_once(18, {18: 1.0}) == 18
    assert at_once(4, {1: 0.5, 9: 0.5}) == 5 / 2

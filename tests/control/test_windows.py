"""Counts of the last while."""

from heterosis.control.windows import Recent


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """Part by part; the figures are kept apart."""
    recent = Recent(1.0, 3, 2)
    for second in range(5):
        recent.add(float(second), 1.0, 10.0)
    assert recent.sums(4.5) == (3.0, 30.0)
    assert recent.sums(6.0) == (1.0, 10.0)
    assert recent.sums(1000.0) == (0.0, 0.0)

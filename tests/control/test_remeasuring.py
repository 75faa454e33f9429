"""When devices are measured anew: once what they are is settled, and they have time."""

from heterosis.control.remeasuring import QUIET, SETTLED_S, Remeasuring

UNIT = ("rack", "orin-1")


def test_it_waits_until_things_have_settled_and_are_quiet() -> None:
    """A device whose speed still changes, or that is busy, is left alone."""
    remeasuring = Remeasuring()
    assert remeasuring.due({UNIT: 2.0}, lambda _: 0.0, 0.0) is None
    assert remeasuring.due({UNIT: 2.0}, lambda _: 0.0, SETTLED_S - 1) is None
    assert remeasuring.due({UNIT: 2.5}, lambda _: 0.0, SETTLED_S) is None
    assert remeasuring.due({UNIT: 2.5}, lambda _: 0.0, 2 * SETTLED_S - 1) is None
    assert remeasuring.due({UNIT: 2.5}, lambda _: QUIET + 0.1, 2 * SETTLED_S) is None
    assert remeasuring.due({UNIT: 2.5}, lambda _: QUIET - 0.1, 2 * SETTLED_S) == UNIT


def test_it_is_done_once_until_the_device_is_another_again() -> None:
    """What it is taken for since it was measured is no news."""
    remeasuring = Remeasuring()
    remeasuring.due({UNIT: 2.0}, lambda _: 0.0, 0.0)
    assert remeasuring.due({UNIT: 2.0}, lambda _: 0.0, SETTLED_S) == UNIT
    remeasuring.note(UNIT, 2.1)
    assert all(remeasuring.due({UNIT: 2.1}, lambda _: 0.0, SETTLED_S + at) is None for at in range(100))
    assert remeasuring.due({}, lambda _: 0.0, 200.0) is None
    assert remeasuring.due({UNIT: 2.1}, lambda _: 0.0, 201.0) is None
    assert remeasuring.due({UNIT: 2.1}, lambda _: 0.0, 201.0 + SETTLED_S) == UNIT

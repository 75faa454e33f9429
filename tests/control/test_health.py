"""Devices that fail or flap are held out, for longer each time."""

from heterosis.control.health import APART_S, HOLD_S, WITHIN_S, Health

UNIT = ("rack", "orin-1")


def test_a_death_now_and_then_is_none_of_its_business() -> None:
    """Nor are several instances that die at once: a device that lost power was one failure."""
    health = Health()
    assert not any(health.went_down(UNIT, 10 + number * APART_S / 10) for number in range(8))
    assert not health.went_down(UNIT, 10 + WITHIN_S)
    assert health.held_out(80.0) == set()


def test_three_times_in_a_minute_is_flapping() -> None:
    """Each time that it does it again it is held out for longer."""
    health = Health()
    now, held = 0.0, []
    for _ in range(3):
        assert [health.went_down(UNIT, now + second) for second in range(3)] == [False, False, True]
        assert health.held_out(now + 3) == {UNIT}
        held.append(health.held_until[UNIT] - now - 2)
        now = health.held_until[UNIT] + 1
        assert health.held_out(now) == set()
    assert held == [HOLD_S, 2 * HOLD_S, 4 * HOLD_S]

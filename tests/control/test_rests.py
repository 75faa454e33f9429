"""What devices without instances do, and what they still have in memory."""

from heterosis.control.rests import COME_TOGETHER_S, GO_TOGETHER_S, Rests
from heterosis.testing import make_plan

PLACEMENTS = make_plan({"a": 10.0, "b": 20.0}).placements
HERE = (PLACEMENTS[0].node, PLACEMENTS[0].device)
ON = list({each.configuration: each for each in PLACEMENTS if (each.node, each.device) == HERE}.values())
ASLEEP_S = 60.0


def hosting() -> Rests:
    """One device that hosts an instance of each stage from 0 s on, and is to sleep for a minute without any."""
    rests = Rests(lambda _unit, _hosted: ASLEEP_S)
    rests.present(HERE, ON, 0.0)
    return rests


def test_it_sleeps_with_what_it_hosted_and_is_off_in_the_end() -> None:
    """All that went together is kept, and nothing is any more once it is off."""
    rests = hosting()
    rests.present(HERE, ON[1:], 10.0)
    assert not rests.keeps(ON[0], 10.5)
    rests.present(HERE, (), 11.0)
    assert rests.sleeps_until(HERE) == 11.0 + ASLEEP_S
    assert all(rests.keeps(each, 70.9) for each in ON)
    assert not any(rests.keeps(each, 71.0) for each in ON)


def test_what_went_long_before_is_not_kept() -> None:
    """Its memory was somebody else's meanwhile."""
    rests = hosting()
    rests.present(HERE, ON[1:], 10.0)
    rests.present(HERE, (), 10.1 + GO_TOGETHER_S)
    assert not rests.keeps(ON[0], 21.0)
    assert rests.keeps(ON[1], 21.0)


def test_what_is_started_when_it_wakes_is_there() -> None:
    """All of it, though one is started after the other; what is started later is loaded."""
    rests = hosting()
    rests.present(HERE, (), 10.0)
    rests.present(HERE, ON[:1], 20.0)
    assert rests.keeps(ON[-1], 20.0 + COME_TOGETHER_S)
    assert not rests.keeps(ON[-1], 20.1 + COME_TOGETHER_S)


def test_a_device_that_failed_has_nothing_left() -> None:
    """It is off."""
    rests = hosting()
    rests.present(HERE, (), 10.0, lost=True)
    assert rests.sleeps_until(HERE) < 10.0
    assert not rests.keeps(ON[0], 10.1)


def test_it_tells_what_sleeps() -> None:
    """While it does, and with what it has in memory."""
    rests = hosting()
    assert rests.asleep(5.0) == {}
    rests.present(HERE, (), 10.0)
    assert rests.asleep(20.0) == {HERE: frozenset(each.configuration for each in ON)}
    assert rests.asleep(71.0) == {}

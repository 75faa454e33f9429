"""DRS: a static size threshold between the accelerator and all other machines."""

import pytest

from heterosis.scheduling.policies import make_policy
from heterosis.scheduling.policies.drs import Drs, hill_climb
from heterosis.terms.errors import UsageError
from heterosis.testing import Driver, make_pool, runs

MACHINES = {"gpu": {10: 11.0, 1000: 110.0}, "cpu-0": {10: 6.0, 100: 42.0, 200: 82.0, 1000: 402.0}}


def drive(policy: str) -> Driver:
    """Drive DRS on one fast machine and one that is slow with large calls."""
    return Driver(make_pool(MACHINES, policy=policy))


def test_large_calls_go_to_the_base_type_and_small_ones_to_the_others() -> None:
    """At the threshold a call is still small."""
    driver = drive("drs:50")
    assert runs(driver.ask("large", size=51)) == [("gpu", ("large",))]
    assert runs(driver.ask("small", size=50)) == [("cpu-0", ("small",))]


def test_the_split_is_strict_and_first_come_first_served_on_either_side() -> None:
    """A call waits for its own side, though the other is idle; a call that ended is passed over."""
    driver = drive("drs:50")
    driver.ask("running", size=10)
    assert runs(driver.ask("second", size=40)) == []
    assert runs(driver.ask("third", size=10)) == []
    assert runs(driver.ask("large", size=500)) == [("gpu", ("large",))]
    assert runs(driver.done("cpu-0", after=0.01)) == [("cpu-0", ("second",))]


def test_without_a_threshold_calls_are_large_that_another_type_does_not_run_within_the_budget() -> None:
    """Within 100 ms the slow machine runs 200 items."""
    driver = drive("drs")
    assert runs(driver.ask("small", size=200)) == [("cpu-0", ("small",))]
    assert runs(driver.ask("large", size=201)) == [("gpu", ("large",))]


def test_one_type_alone_runs_everything() -> None:
    """Whatever the threshold."""
    driver = Driver(make_pool({"gpu": MACHINES["gpu"]}, policy="drs:500"))
    assert runs(driver.ask("small", size=1)) == [("gpu", ("small",))]


@pytest.mark.parametrize("best", [0, 3, 50, 98, 99])
def test_hill_climbing_finds_the_top_of_a_hill(best: int) -> None:
    """Each size is tried at most once, and few of them are."""
    tried: list[int] = []

    def evaluate(threshold: int) -> float:
        tried.append(threshold)
        return -abs(threshold - 10 * best)

    assert hill_climb(evaluate, range(0, 1000, 10)) == 10 * best
    assert len(tried) == len(set(tried)) < 25


def test_a_threshold_stands_in_the_name() -> None:
    """What is not a number of items is refused."""
    assert isinstance(make_policy("drs:120"), Drs)
    for name in ("drs:few", "drs:-1", "drs:", "fcfs:3"):
        with pytest.raises(UsageError, match=r"no policy .*; there are: .*drs:THRESHOLD"):
            make_policy(name)

"""Clockwork: what is run ends in time; what cannot make it is rejected at once."""

from heterosis.scheduling import DropCall, Refusal
from heterosis.testing import Driver, make_plan, make_pool, runs

GPU = {1: 10.0, 2: 15.0, 4: 25.0}
"""Milliseconds of a batch."""


def drive(*, max_batch: int = 4, **machines: dict[int, float]) -> Driver:
    """Drive Clockwork on these machines."""
    return Driver(make_pool(machines, max_batch=max_batch, policy="clockwork"))


def test_what_no_instance_would_answer_in_time_is_rejected_at_once() -> None:
    """The only machine is busy for 10 ms more; the call needs 10 ms and has 19, so it does not even wait."""
    driver = drive(gpu=GPU)
    driver.ask("running")
    (drop,) = driver.ask("late", deadline=0.019)
    assert isinstance(drop, DropCall)
    assert drop.kind is Refusal.LATE
    assert driver.ask("in time", deadline=0.021) == []


def test_the_batch_is_the_largest_that_ends_before_its_earliest_deadline() -> None:
    """Of four calls, two fit before the deadline of the first."""
    driver = drive(gpu=GPU)
    driver.ask("running")
    driver.ask("urgent", deadline=0.01 + 0.016)
    for name in ("b", "c", "d"):
        driver.ask(name, deadline=1.0)
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("urgent", "b"))]
    assert runs(driver.done("gpu", after=0.015)) == [("gpu", ("c", "d"))]


def test_a_batch_is_filled_to_the_instances_limit() -> None:
    """Where nothing is urgent."""
    driver = drive(gpu=GPU, max_batch=2)
    driver.ask("running")
    for name in "abc":
        driver.ask(name, deadline=1.0)
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("a", "b"))]


def test_a_slow_instance_leaves_what_it_would_answer_too_late_to_the_others() -> None:
    """The second call waits for the fast machine; the third, with time to spare, goes to the slow one."""
    driver = drive(gpu=GPU, cpu={1: 40.0}, max_batch=1)
    assert runs(driver.ask("first", deadline=0.03)) == [("gpu", ("first",))]
    assert driver.ask("second", deadline=0.03) == []
    assert runs(driver.ask("third", deadline=0.1)) == [("cpu", ("third",))]
    assert runs(driver.done("gpu", after=0.01)) == [("gpu", ("second",))]


def test_of_two_stages_the_one_that_has_to_start_first_gets_the_slot() -> None:
    """The deadline alone would let the short stage go first."""
    driver = Driver(make_plan({"a": 10, "b": 40}, slots=1, policy="clockwork"))
    driver.ask("running", "a", deadline=1.0)
    driver.ask("short", "a", deadline=0.240)
    driver.ask("long", "b", deadline=0.220)
    assert runs(driver.done("a-0", after=0.01)) == [("b-0", ("long",))]

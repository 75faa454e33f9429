"""SLO-MAEL and PSLO-MAEL: assignment by check, least slack first; what has not begun is assigned anew."""

import pytest

from heterosis.scheduling import TimerFired
from heterosis.scheduling.policies.early_binding import Bound, Line
from heterosis.scheduling.policies.slo_mael import SloMael
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.studies.slo_mael.setting import make_plan
from heterosis.terms import Call, Request
from heterosis.testing import Driver, runs


def end_window(driver: Driver) -> list[tuple[str, tuple[str, ...]]]:
    """Let the 10 ms of a window pass; list what begins to run at its end."""
    return runs(driver(TimerFired(key="wake"), after=0.01))


@pytest.mark.parametrize("policy", ["slo_mael", "slo_mael:as-published", "slo_mael:summed", "slo_mael:greedy"])
def test_a_deadline_far_away_lets_the_fastest_processor_be_used(policy: str) -> None:
    """With time to spare anywhere, ties go to the least latency."""
    driver = Driver(make_plan(policy, 5, 1.0, 0))
    driver.ask("a", "resnet50", deadline=5.0)
    assert end_window(driver) == [("resnet50@dsp", ("a",))]


def test_what_has_time_leaves_the_fast_processor_to_what_has_not() -> None:
    """Least latency gives both to the DSP; by check the one with time goes to the GPU. Greedy does not foresee that."""
    began = {}
    for policy in ("mael", "slo_mael:summed", "slo_mael:greedy"):
        driver = Driver(make_plan(policy, 5, 1.0, 0))
        driver.ask("patient", "squeezenet", deadline=1.0)
        driver.ask("hurried", "googlenet", deadline=0.029)
        began[policy] = end_window(driver)
    assert began["slo_mael:summed"] == [("squeezenet@gpu", ("patient",)), ("googlenet@dsp", ("hurried",))]
    assert began["slo_mael:greedy"] != began["slo_mael:summed"]


def queued(name: str, *, since: float, run_s: float, deadline_s: float) -> Bound:
    """Make a call that stands in a line, with the key that SLO-MAEL gives it."""
    plan = make_plan("slo_mael", 5, 1.0, 0)
    request = Request(id=name, pipeline="slo-mael", arrival=0.0, deadline=1.0)
    record = CallRecord(Call(id=f"{name}/0", request=name, stage="lenet"), request)
    bound = Bound(record, InstanceRecord(plan.placements[0], 1), since, run_s)
    bound.key = SloMael().key(bound, deadline_s)
    return bound


@pytest.mark.parametrize(
    ("other", "first"),
    [
        (queued("less time", since=0.0, run_s=0.02, deadline_s=0.05), "less time"),
        (queued("more time", since=0.0, run_s=0.02, deadline_s=0.15), "call"),
        (queued("longer", since=0.0, run_s=0.03, deadline_s=0.1), "longer"),
        (queued("later", since=0.01, run_s=0.02, deadline_s=0.1), "call"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_least_slack_goes_first(other: Bound, first: str) -> None:
    """Slack is the deadline, less the time since the call was bound, less its run time."""
    line = Line([queued("call", since=0.0, run_s=0.02, deadline_s=0.1), other])
    assert SloMael().select(line.waiting, line).record.request.id == first


@pytest.mark.parametrize(("policy", "moved"), [("slo_mael:summed", []), ("pslo_mael", [("squeezenet@gpu", ("w",))])])
def test_pslo_mael_moves_what_has_not_begun(policy: str, moved: list[tuple[str, tuple[str, ...]]]) -> None:
    """The GPU is done sooner than was thought: a call that waits for the DSP goes there when the next one comes."""
    driver = Driver(make_plan(policy, 5, 1.0, 0))
    driver.ask("r", "resnet50", deadline=5.0)
    driver.ask("s", "resnet50", deadline=5.0)
    assert sorted(end_window(driver)) == [("resnet50@dsp", ("r",)), ("resnet50@gpu", ("s",))]
    driver.ask("w", "squeezenet", deadline=5.0)
    assert end_window(driver) == [], "13 ms on the DSP after 26 beat 17 ms on the GPU after 48"
    assert runs(driver.done("resnet50@gpu")) == []
    driver.ask("x", "lenet", deadline=5.0)
    assert sorted(end_window(driver)) == [("lenet@big", ("x",)), *moved]

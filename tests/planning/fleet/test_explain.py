"""Why a plan for a fleet is as it is."""

import msgspec
import pytest

from heterosis.planning.fleet import Answer, Task, allot
from heterosis.planning.fleet.explain import Explanation, Price, explain, with_more
from heterosis.testing.tasks import make_task


def explained(task: Task) -> tuple[Answer, Explanation]:
    """Return the best answer, and why it is."""
    answer = allot(task)
    assert answer is not None
    return answer, explain(task, answer)


def price(found: Explanation, limit: str) -> Price | None:
    """Return the price of a limit, if it has one."""
    return next((each for each in found.prices if each.limit == limit), None)


@pytest.fixture(scope="module")
def tight() -> Task:
    """More than the devices of the better kind can do alone, within an SLO that leaves little time."""
    return make_task(2, stages=1, devices=1, rate_rps=120.0, slo_ms=200.0, min_accuracy=0.9)


def test_one_more_device_saves_what_it_is_said_to(tight: Task) -> None:
    """The step is the difference of two plans; loosening saves, more load costs."""
    answer, found = explained(tight)
    devices = [(each, each.step) for each in found.prices if each.limit == "devices" and each.step]
    assert devices
    for each, step in devices:
        number = next(at for at, kind in enumerate(tight.kinds) if kind.type.name == each.of)
        more = allot(with_more(tight, number))
        assert more is not None
        assert step == pytest.approx(more.cost - answer.cost, abs=1e-6)
        assert step < 0
        assert f"one more {each.of} would save {-step:.3g} W" in "\n".join(found.lines())
    rate = price(found, "rate")
    assert rate is not None
    assert rate.step is None or rate.step > 0
    assert rate.marginal > 0


def test_marginal_prices_have_the_sign_of_their_limit(tight: Task) -> None:
    """A looser limit never costs more; the accuracy floor's step is the same by logarithms and as it is."""
    _, found = explained(tight)
    assert all(each.marginal <= 1e-9 for each in found.prices if each.limit != "rate")
    assert all(each.step is None or each.step <= 0 for each in found.prices if each.limit != "rate")


def test_every_option_has_a_reason(tight: Task) -> None:
    """Those in use are taken; the second variant is below the floor, and says by how much."""
    answer, found = explained(tight)
    taken = {(each.configuration, each.batch) for each in found.options if each.chosen}
    assert taken == {(each.option.configuration, each.option.batch) for each in answer.allotment.hosted()}
    assert all(each.reason for each in found.options)
    poor = [each for each in found.options if each.configuration.variant.startswith("model1")]
    best = tight.workloads[0].variants.variants[1].accuracy
    if best is not None and best < 0.9:
        assert {each.reason for each in poor} == {f"below the accuracy floor: {best:.4g} at best, 0.9 asked for"}


def test_what_is_too_slow_for_its_stage_says_so() -> None:
    """What all other stages leave it at most is told."""
    task = make_task(5, stages=2, rate_rps=5.0, slo_ms=90.0)
    _, found = explained(task)
    slow = [each.reason for each in found.options if each.reason.startswith("too slow")]
    assert slow
    assert all("other stages leave" in reason for reason in slow)


def test_what_would_cost_more_says_how_much() -> None:
    """By the reduced cost: joules of a call, beside what its device costs."""
    _, found = explained(make_task(6, stages=1))
    assert any("W more for each call/s" in each.reason for each in found.options)
    assert any(each.reason.startswith("dominated by") for each in found.options)


def test_an_easy_task_has_no_binding_limit_but_its_load() -> None:
    """Nothing is gained by more devices where most are off."""
    task = make_task(7, stages=1, devices=3, rate_rps=1.0, slo_ms=5000.0)
    _, found = explained(task)
    assert not [each for each in found.prices if each.limit in {"devices", "latency"} and each.step]


def test_a_point_that_fits_no_device_says_so() -> None:
    """It is no option, and is told all the same."""
    task = make_task(8, stages=1)
    first = task.workloads[0]
    large = msgspec.structs.replace(first.profile.points[0], memory_bytes=10**12)
    profile = msgspec.structs.replace(first.profile, points=(large, *first.profile.points[1:]))
    nodes = tuple(
        msgspec.structs.replace(
            node, devices=tuple(msgspec.structs.replace(each, memory_bytes=10**11) for each in node.devices)
        )
        for node in task.fleet.nodes
    )
    task = msgspec.structs.replace(
        task,
        workloads=(msgspec.structs.replace(first, profile=profile),),
        fleet=msgspec.structs.replace(task.fleet, nodes=nodes),
    )
    _, found = explained(task)
    assert "needs 1000000 MB, the device has 100000 MB" in {each.reason for each in found.options}

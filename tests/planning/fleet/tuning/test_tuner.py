"""The tuner: enough devices at every rate and no more, up at once, down late, the cheapest first."""

import math
from functools import cache
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet import (
    Allotment,
    Hosted,
    Share,
    Task,
    accuracy,
    allot,
    enumerate_options,
    power_w,
    to_plan,
)
from heterosis.planning.fleet.hosting import hosted
from heterosis.planning.fleet.tuning.retuning import at_rates, pooled, retuned
from heterosis.planning.fleet.tuning.tuner import HOLD_S, LEAST, MEMORY_S, STEADY_S, Tuner
from heterosis.planning.wait import HIGHEST
from heterosis.testing.tasks import make_task

seeds = st.integers(0, 7)


@cache
def drawn(seed: int) -> tuple[Task, Allotment]:
    """Draw a task, and plan it."""
    task = make_task(seed, devices=4, rate_rps=40.0)
    return task, planned(task)


def planned(task: Task) -> Allotment:
    """Plan a task that can be planned."""
    answer = allot(task)
    assert answer is not None
    return answer.allotment


def needed(task: Task, share: Share) -> float:
    """Devices that its calls need, at the utilisation planned, as a multiple of those that it has."""
    slots = task.kinds[share.group[0]].slots
    return sum(host.per_s * host.option.device_s for host in share.hosts) / (share.count * slots)


def random_arrivals(rate: float, begin: float, end: float, seed: int) -> list[float]:
    """Draw random arrivals between two moments."""
    rng = np.random.default_rng(seed)
    return sorted(map(float, rng.uniform(begin, end, rng.poisson(rate * (end - begin)))))


def follow(tuner: Tuner, arrivals: list[float], begin: float, end: float) -> list[tuple[float, Allotment]]:
    """Tell the tuner what arrives, and tune each second."""
    changes, rest = [], iter(arrivals)
    following = next(rest, math.inf)
    for second in range(math.ceil(begin), math.ceil(end)):
        while following < second:
            tuner.note("drawn", following)
            following = next(rest, math.inf)
        found = tuner.tune(float(second))
        if found is not None:
            changes.append((float(second), found))
    return changes


def small_task(devices: int = 12, rate_rps: float = 200.0) -> Task:
    """A task whose counts of devices follow the rate closely."""
    return make_task(3, stages=1, variants=1, kinds=1, devices=devices, rate_rps=rate_rps)


@given(seeds, st.floats(0.3, 8.0))
@settings(max_examples=40, deadline=None)
def test_every_call_is_served_within_the_utilisation_planned_or_said_not_to_be(seed: int, factor: float) -> None:
    """Flows add up by stage and variant, devices bear them, and the inventory is kept."""
    task, before = drawn(seed)
    after = retuned(task, before, {"drawn": factor})
    as_before = {tuple(host.option for host in share.hosts): share for share in before.shares}
    for share in after.shares:
        planned_for = as_before[tuple(host.option for host in share.hosts)]
        grown = factor * needed(task, planned_for)
        devices = sum(
            host.per_s * host.option.device_s * pooled(host.option.utilisation, planned_for.count, grown)
            for host in share.hosts
        )
        slots = share.count * task.kinds[share.group[0]].slots
        assert devices / slots <= max(1.0, needed(task, planned_for)) + 1e-5
    for number, kind in enumerate(task.kinds):
        assert sum(share.count for share in after.shares if share.group[0] == number) <= len(kind.units)
    if not after.reasons:
        wanted = {(host.option.stage, host.option.variant.name): 0.0 for host in before.hosted()}
        served = dict(wanted)
        for flows, of, times in ((wanted, before, factor), (served, after, 1.0)):
            for host in of.hosted():
                flows[host.option.stage, host.option.variant.name] += times * host.per_s
        assert served == pytest.approx(wanted)
        workload = task.workloads[0]
        assert accuracy(workload, after) == pytest.approx(accuracy(workload, before))
        assert to_plan(at_rates(task, {"drawn": factor * 40.0}), after).placements


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_more_load_never_takes_less_power_and_the_planned_load_no_more_than_planned(seed: int) -> None:
    """The cheapest way to bear a load bears a lower one, too."""
    task, before = drawn(seed)
    found = [power_w(task, retuned(task, before, {"drawn": factor})) for factor in (0.5, 0.8, 1.0, 1.3, 2.0)]
    powers = [power for power in found if power is not None]
    assert len(powers) == len(found)
    assert all(low <= high + 1e-3 * high for low, high in pairwise(powers))
    as_planned = power_w(task, before)
    assert as_planned is not None
    assert powers[2] <= as_planned * (1 + 1e-3)


@given(st.floats(0.5, 4.0))
@settings(max_examples=30, deadline=None)
def test_one_stage_gets_inferlines_number_of_replicas_or_fewer_that_pool(factor: float) -> None:
    """Calls per second times time, by utilisation, rounded up; more than planned may be busier, as waits are shared."""
    task = small_task(devices=60)
    before = planned(task)
    (share,) = before.shares
    (host,) = share.hosts
    (after,) = retuned(task, before, {"drawn": factor}).shares
    linear = factor * host.per_s * host.option.slot_s / host.option.utilisation
    assert after.count == math.ceil(linear * pooled(host.option.utilisation, share.count, linear / share.count) - 1e-6)


@given(st.floats(0.02, 0.95), st.integers(1, 50), st.floats(1.0, 20.0))
@example(0.5, 46, math.nextafter(1.0, 2.0))
def test_devices_that_pool_keep_in_hand_what_waits_ask_for(utilisation: float, count: int, factor: float) -> None:
    """More devices are busier, never beyond what any may be, and their spare grows with the root of their number."""
    share = pooled(utilisation, count, factor)
    devices = share * factor * count
    busy = factor * utilisation * count / devices
    assert share <= 1.0
    assert min(utilisation, HIGHEST) - 1e-9 <= busy <= max(utilisation, HIGHEST) + 1e-9
    assert devices - busy * devices >= (1 - max(utilisation, HIGHEST)) * devices - 1e-9
    assert devices * (1 - busy) >= min((1 - utilisation) * math.sqrt(count * devices), devices * (1 - HIGHEST)) - 1e-6


def test_what_is_cheapest_by_what_it_bears_is_woken_first() -> None:
    """Of two shares that serve the same calls, the one with less power for each of them grows, while there is some."""
    task = make_task(1, stages=1, variants=1, kinds=2, devices=6)
    options = {option.group[0]: option for option in enumerate_options(task) if option.servers == 1}
    both = Allotment(
        planner="by hand",
        shares=tuple(
            Share(group=option.group, count=1, hosts=(Hosted(option=option, per_s=5.0),)) for option in options.values()
        ),
    )

    def per_call_w(kind: int) -> float:
        idle_w = task.kinds[kind].device.idle_power_w(options[kind].group[1])
        assert idle_w is not None
        return idle_w * options[kind].device_s + (options[kind].energy_j or 0.0)

    cheap, dear = sorted(options, key=per_call_w)
    bears = 1 / options[cheap].device_s
    counts = {count: retuned(task, both, {"drawn": 0.999 * count * bears / 10.0}).devices() for count in (1, 3, 6, 20)}
    for count in (1, 3, 6):
        assert counts[count].keys() == {options[cheap].group}
        assert counts[count][options[cheap].group] <= count
    assert counts[20][options[cheap].group] >= 5
    assert counts[20][options[dear].group] >= 1


def test_beyond_the_fleet_the_reason_says_what_goes_unserved() -> None:
    """All devices are on, and the rest is told by stage."""
    task = small_task(devices=4)
    after = retuned(task, planned(task), {"drawn": 50.0})
    assert sum(after.devices().values()) == 4
    (reason,) = after.reasons
    assert "calls of stage0 are beyond it" in reason


def test_a_steady_load_changes_nothing_that_was_planned_to_the_device() -> None:
    """Twenty minutes of random arrivals at the planned rate: nothing to do."""
    task = small_task()
    tuner = Tuner(task, planned(task))
    assert not follow(tuner, random_arrivals(200.0, 0, 1200, 1), 0, 1200)


def test_a_doubled_load_is_followed_within_seconds_and_left_after_the_hold_off() -> None:
    """Ahead of it while it grows, then what it needs and hardly more; down when it is over and remembered no more."""
    task = small_task()
    before = planned(task)
    tuner = Tuner(task, before)
    arrivals = (
        random_arrivals(200.0, 0, 100, 2) + random_arrivals(400.0, 100, 200, 3) + random_arrivals(200.0, 200, 400, 4)
    )
    changes = follow(tuner, arrivals, 0, 400)
    needed = retuned(task, before, {"drawn": 2.0}).shares[0].count
    counts = [(at, found.shares[0].count) for at, found in changes]
    ups = [(at, count) for at, count in counts if at < 200]
    assert ups[0][0] <= 103
    assert needed <= max(count for at, count in ups if at <= 110) <= math.ceil(1.3 * needed)
    assert needed <= min(count for at, count in counts if 105 <= at <= 200) <= math.ceil(1.1 * needed)
    downs = [at for (_, before_it), (at, count) in pairwise(counts) if count < before_it and at > 200]
    assert downs
    assert downs[0] > 200 + HOLD_S
    assert all(later - at >= HOLD_S for (at, _), (later, _) in pairwise(counts) if later in downs)
    assert not [at for at, _ in counts if at > downs[0] and at not in downs]
    assert counts[-1][1] == before.shares[0].count
    assert tuner.task.workloads[0].rate_rps < 240
    assert "allotted for" in changes[0][1].reasons[0]


def test_at_night_the_least_share_stays_and_a_new_plan_is_due() -> None:
    """Without a request, the tuner goes down to its least, once."""
    task = small_task()
    tuner = Tuner(task, planned(task))
    assert not tuner.at_least
    changes = follow(tuner, [], 0, 300)
    assert len(changes) == 1
    assert changes[0][0] >= MEMORY_S
    assert tuner.rates["drawn"] == LEAST * 200.0
    assert tuner.at_least


def test_rates_are_changed_by_pipeline() -> None:
    """One that is not named keeps its own."""
    task = small_task()
    assert at_rates(task, {"other": 7.0}).workloads == task.workloads
    assert at_rates(task, {"drawn": 7.0}).workloads[0].rate_rps == 7.0


def test_one_that_grows_keeps_no_other_from_falling() -> None:
    """Each pipeline has a hold-off of its own: what another is allotted changes every few seconds here."""
    (workload,) = small_task(devices=40).workloads
    task = msgspec.structs.replace(small_task(devices=40), workloads=tuple(hosted(workload, name) for name in "ab"))
    tuner = Tuner(task, planned(task))
    fell_at: list[float] = []
    for quarter in range(4 * 120):
        now = quarter / 4
        tuner.note("a", now, 100 if now < 60 else 20)
        tuner.note("b", now, round(50 * 1.02 ** max(now - 60, 0)))
        before = tuner.rates["a"]
        tuner.tune(now)
        if now > 60 and tuner.rates["a"] < before:
            fell_at.append(now)
    assert fell_at
    assert fell_at[0] < 60 + MEMORY_S + STEADY_S

"""Devices that are slower than profiled: noticed soon, never by chance, and planned for as what they are."""

import numpy as np
import pytest
from msgspec.structs import replace

from heterosis.control.speeds import FORGOTTEN_S, Speeds, profiled
from heterosis.planning.fleet import Task, allot, to_plan
from heterosis.scheduling.state import Unit
from heterosis.terms.profile import QUANTILES_AT, quantiles
from heterosis.testing.tasks import make_task


def task() -> Task:
    """One kind of three devices, in one stage."""
    return make_task(1, stages=1, kinds=1, variants=1, devices=3, rate_rps=180.0)


def units(of: Task) -> list[Unit]:
    """All devices."""
    return [(node.name, device.name) for node in of.fleet.nodes for device in node.devices]


def run(  # noqa: PLR0913 - one for each thing that differs
    speeds: Speeds,
    of: Task,
    factors: dict[Unit, float],
    begin: float,
    seconds: float,
    *,
    per_s: float,
    noise: float,
    seed: int = 0,
) -> dict[Unit, float]:
    """Let devices run batches for so long; return when each was first noticed."""
    point = of.workloads[0].profile.points[0]
    rng = np.random.default_rng(seed)
    noticed: dict[Unit, float] = {}
    for number in range(round(seconds * per_s)):
        now = begin + number / per_s
        for unit, factor in factors.items():
            run_s = factor * point.latency.p50_ms / 1e3 * float(np.exp(rng.normal(0, noise)))
            speeds.observe(unit, point.configuration, 1, run_s, f"r{number}", now)
        for unit in speeds.changed(now):
            noticed.setdefault(unit, now - begin)
    return noticed


@pytest.mark.parametrize("per_s", [1.0, 5.0, 50.0])
def test_half_as_fast_is_noticed_within_ten_seconds(per_s: float) -> None:
    """With as few as one batch a second, and inputs that differ; and only the device that is."""
    of = task()
    speeds = Speeds(of.workloads[0].profile.points)
    slow = units(of)[0]
    factors = dict.fromkeys(units(of), 1.0)
    assert run(speeds, of, factors, 0, 60, per_s=per_s, noise=0.2) == {}
    noticed = run(speeds, of, factors | {slow: 2.0}, 60, 30, per_s=per_s, noise=0.2)
    assert noticed.keys() == {slow}
    assert noticed[slow] <= 10
    assert speeds.factors[slow] == pytest.approx(2.0, rel=0.15)
    assert run(speeds, of, factors, 90, 30, per_s=per_s, noise=0.2).keys() == {slow}
    assert speeds.factors == {}


def test_noise_is_no_change() -> None:
    """Not in an hour of batches whose times differ by a third."""
    of = task()
    speeds = Speeds(of.workloads[0].profile.points)
    assert run(speeds, of, dict.fromkeys(units(of), 1.0), 0, 3600, per_s=2.0, noise=0.3) == {}


def test_a_profile_that_is_wide_and_skewed_is_no_change() -> None:
    """What a profile says of its own spread counts from the first batch on; the mean is not what half of them take."""
    of = task()
    points = [
        replace(point, latency=replace(point.latency, p50_ms=0.88 * mean_ms, p95_ms=1.53 * mean_ms))
        for point in of.workloads[0].profile.points
        for mean_ms in [point.latency.mean_ms]
    ]
    workload = replace(of.workloads[0], profile=replace(of.workloads[0].profile, points=tuple(points)))
    of = replace(of, workloads=(workload,))
    for seed in range(20):
        assert run(Speeds(points), of, dict.fromkeys(units(of), 1.0), 0, 60, per_s=2.0, noise=0.34, seed=seed) == {}


def test_what_profiles_say_of_their_spread_is_no_change() -> None:
    """Ten minutes of a dozen devices whose times are those of their profile, from half the median to twice of it."""
    of = task()
    point = of.workloads[0].profile.points[0]
    times_ms = quantiles(40.0, 70.0, 75.0)
    latency = replace(point.latency, p50_ms=40.0, p95_ms=70.0, p99_ms=75.0)
    speeds, rng = Speeds([replace(point, batch=1, latency=latency)]), np.random.default_rng(1)
    for number in range(6000):
        now = number / 10
        for device in range(12):
            run_s = float(np.interp(rng.random(), QUANTILES_AT, times_ms)) / 1e3
            speeds.observe(("rack", f"{device}"), point.configuration, 1, run_s, f"r{number}", now)
        assert number % 3 or not speeds.changed(now)


def pages(speeds: Speeds, of: Task, factor: float, begin: float, seconds: float, *, seed: int) -> float | None:
    """Let a device read two pages a second, in ten batches each; return when it was first taken for another.

    How long a page takes to read hangs on what stands on it (by half, mostly), to find its lines hardly does.
    """
    find, read = (
        next(each for each in of.workloads[0].profile.points if each.configuration.stage == stage)
        for stage in of.stages
    )
    unit, rng = units(of)[0], np.random.default_rng(seed)
    for number in range(round(2 * seconds)):
        now, text = begin + number / 2, float(np.exp(rng.normal(0, 0.5)))
        speeds.observe(unit, find.configuration, find.batch, factor * find.latency.p50_ms / 1e3, f"r{number}", now)
        for _ in range(10):
            run_s = factor * text * read.latency.p50_ms / 1e3 * float(np.exp(rng.normal(0, 0.05)))
            speeds.observe(unit, read.configuration, read.batch, run_s, f"r{number}", now)
        if speeds.changed(now):
            return now - begin
    return None


@pytest.mark.parametrize("seed", range(5))
def test_content_is_not_drift_and_drift_is_seen_in_spite_of_it(seed: int) -> None:
    """Ten minutes of pages that differ are no change; half the speed is, within ten seconds."""
    of = make_task(1, stages=2, kinds=1, variants=1, devices=1, rate_rps=2.0)
    speeds = Speeds(of.workloads[0].profile.points)
    assert pages(speeds, of, 1.0, 0.0, 600.0, seed=seed) is None
    noticed = pages(speeds, of, 2.0, 600.0, 20.0, seed=seed)
    assert noticed is not None
    assert noticed <= 10.0


def test_a_stage_alone_is_not_the_device() -> None:
    """Where a minute of pages takes twice as long to read, the other stage says that the device is as fast as ever."""
    of = make_task(1, stages=2, kinds=1, variants=1, devices=1, rate_rps=2.0)
    speeds = Speeds(of.workloads[0].profile.points)
    point = {each.configuration.stage: each for each in of.workloads[0].profile.points}
    for number in range(120):
        for stage, each in point.items():
            factor = 2.0 if stage == list(of.stages)[1] and number >= 60 else 1.0
            run_s = factor * each.latency.p50_ms / 1e3
            speeds.observe(units(of)[0], each.configuration, each.batch, run_s, f"r{number}", float(number))
        assert not speeds.changed(float(number))


def test_a_slow_device_is_planned_for_as_a_kind_of_its_own() -> None:
    """It bears half as much; instances on it keep their names, and so run on."""
    of = task()
    speeds = Speeds(of.workloads[0].profile.points)
    slow = units(of)[0]
    run(speeds, of, dict.fromkeys(units(of), 1.0) | {slow: 2.0}, 0, 20, per_s=10.0, noise=0.05)
    corrected = speeds.corrected(of)
    assert [len(kind.units) for kind in corrected.kinds] == [1, 2]
    assert corrected.kinds[0].units == (slow,)
    before, after = allot(of), allot(corrected)
    assert before is not None
    assert after is not None
    assert after.cost > before.cost
    plan = to_plan(of, before.allotment)
    relabelled = speeds.relabelled(plan, of.fleet)
    assert [each.instance for each in relabelled.placements] == [each.instance for each in plan.placements]
    changed = [each for each in relabelled.placements if (each.node, each.device) == slow]
    assert all(each.configuration.device_type != profiled(each.configuration).device_type for each in changed)
    means = {point.configuration.device_type: point.latency.mean_ms for point in relabelled.points if point.batch == 1}
    assert len(means) == 2
    assert max(means.values()) == pytest.approx(2 * min(means.values()), rel=0.1)
    again = Speeds(of.workloads[0].profile.points)
    assert again.relabelled(relabelled, of.fleet) == plan


def test_all_slower_alike_is_the_types_own_speed() -> None:
    """No device differs from the others: the profile is corrected, and no instance is taken for anything else."""
    of = task()
    speeds = Speeds(of.workloads[0].profile.points)
    run(speeds, of, dict.fromkeys(units(of), 1.5), 0, 20, per_s=10.0, noise=0.05)
    corrected = speeds.corrected(of)
    assert len(corrected.kinds) == 1
    ratio = corrected.workloads[0].profile.points[0].latency.mean_ms / of.workloads[0].profile.points[0].latency.mean_ms
    assert ratio == pytest.approx(1.5, rel=0.05)


def test_a_device_that_is_not_used_is_forgiven() -> None:
    """How else would it be found out that it is fast again."""
    of = task()
    speeds = Speeds(of.workloads[0].profile.points)
    slow = units(of)[0]
    run(speeds, of, {slow: 2.0}, 0, 20, per_s=10.0, noise=0.05)
    assert speeds.changed(20 + FORGOTTEN_S / 2) == {}
    assert speeds.changed(21 + FORGOTTEN_S).keys() == {slow}
    assert speeds.factors == {}

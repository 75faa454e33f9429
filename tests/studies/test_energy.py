"""A day on a rack of edge devices: rates, forecasts, plans, joules and their bounds. Days of four hours."""

import pytest

from heterosis.planning.fleet import holds
from heterosis.studies.energy import control, day, setting
from heterosis.studies.energy.competitors import OURS, competitors
from heterosis.studies.energy.control import EPOCH_S, EPOCHS, bound_j, forecasts, rates_of
from heterosis.studies.energy.day import _accuracy, bounds, play
from heterosis.studies.energy.setting import DAY_S, PIPELINES, moments, pipeline
from heterosis.workflow.fleets import simulated

HOURS = 4
LOAD = 0.3


@pytest.fixture
def short_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of few hours."""
    monkeypatch.setattr(control, "EPOCHS", HOURS)
    monkeypatch.setattr(day, "EPOCHS", HOURS)
    for module in (control, setting):
        monkeypatch.setattr(module, "DAY_S", HOURS * EPOCH_S)


def test_rates_conserve_the_requests() -> None:
    """Every moment counts once, the very last of the day too."""
    times = {name: [*moments(name, 0.2, 3), DAY_S] for name in PIPELINES}
    rates = rates_of(times)
    assert len(rates) == EPOCHS
    for name, of in times.items():
        assert sum(each[name] for each in rates) * EPOCH_S == pytest.approx(len(of))


def test_arrivals_are_within_the_day_and_busiest_around_the_peak_hour() -> None:
    """In order, reproducible; the six hours around the peak have more requests than the six opposite."""
    for name in PIPELINES:
        times = moments(name, 0.5, 7)
        assert times == sorted(times) == moments(name, 0.5, 7)
        assert 0 <= times[0] <= times[-1] < DAY_S

        def around(hour: float, times: list[float] = times) -> int:
            apart = (abs(at / setting.HOUR_S - hour) for at in times)
            return sum(min(hours, 24 - hours) < 3 for hours in apart)

        peak = setting.PEAK_HOUR[name]
        assert around(peak) > 2 * around((peak + 12) % 24)


@pytest.mark.parametrize("epoch", [0, 5, 17])
def test_forecasts_never_look_ahead(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes once an epoch has begun changes the forecasts of later ones alone."""
    known = forecasts(0.2, 1)

    def other(name: str, load: float, seed: int) -> list[float]:
        times = moments(name, load, seed)
        later = [] if seed != 1 else [at for at in times if at >= epoch * EPOCH_S]
        return sorted([*times, *later, *later])

    monkeypatch.setattr(control, "moments", other)
    changed = forecasts(0.2, 1)
    assert changed[: epoch + 1] == known[: epoch + 1]
    assert changed[epoch + 1] != known[epoch + 1]


@pytest.mark.usefixtures("short_day")
def test_ours_keeps_the_slo_for_fewer_joules_than_one_kind_of_device() -> None:
    """And for no fewer than the bounds; the accuracy is kept, and the joules are those of their parts and hours."""
    ours, homogeneous = (play(competitors()[name], LOAD, 0, 1.3) for name in (OURS, "homogeneous"))
    assert ours is not None
    assert homogeneous is not None
    assert ours.requests == homogeneous.requests > 100
    assert ours.attainment >= 0.99
    assert ours.joules < homogeneous.joules
    assert ours.least_over_floor > -0.01
    assert len(ours.joules_by_epoch) == HOURS
    assert sum(ours.joules_by_epoch) == pytest.approx(sum(ours.parts.values())) == pytest.approx(ours.joules)
    divided, whole = bounds(competitors()[OURS], LOAD, 0)
    assert 0 < divided <= whole * (1 + 1e-3)
    assert whole <= ours.joules


@pytest.mark.usefixtures("short_day")
def test_a_plan_is_kept_only_where_it_holds() -> None:
    """Devices that bear six times the load in full batches do not keep its SLO."""
    ours = competitors()[OURS]
    few, many = (ours.task(setting.workloads({"traffic": traffic, "documents": 17.0})) for traffic in (7.5, 45.0))
    allotment = ours.plan(few)
    assert allotment is not None
    assert holds(few, simulated(few)(allotment))
    assert not holds(many, simulated(many)(allotment))


@pytest.mark.usefixtures("short_day")
def test_more_load_has_a_higher_bound() -> None:
    """Joules for twice the rates exceed those for the rates, by no more than twice."""
    rates = [dict.fromkeys(PIPELINES, 5.0)]
    once = bound_j(competitors()[OURS], rates, whole_devices=False)
    twice = bound_j(competitors()[OURS], [dict.fromkeys(PIPELINES, 10.0)], whole_devices=False)
    assert once < twice <= 2 * once * (1 + 1e-3)


def test_without_power_off_idle_devices_count() -> None:
    """Every ablation leaves out what it is named after."""
    known = competitors()
    assert known[OURS].power_off
    assert not known[f"{OURS}:without_power_off"].power_off
    fastest = known[f"{OURS}:without_power_modes"].fleet
    assert all(len(device.type.power_modes) <= 1 for device in fastest.devices)
    asked = setting.workloads(dict.fromkeys(PIPELINES, 1.0))
    for workload in known[f"{OURS}:without_batching"].task(asked).workloads:
        assert {point.batch for point in workload.profile.points} == {1}
    for workload in known[f"{OURS}:without_variants"].task(asked).workloads:
        for stage in workload.graph.stages:
            assert len({variant.model for variant in workload.variants.of(stage)}) == 1


def test_accuracy_is_the_product_of_the_stages_means_over_their_calls() -> None:
    """All calls on one variant have its accuracy; half on each of two, the mean; a stage without calls has none."""
    name = PIPELINES[0]
    published = pipeline(name)
    first, second = published.graph.stages
    best, other = sorted(published.variants.of(first), key=lambda each: -(each.accuracy or 0))[:2]
    last = published.variants.of(second)[0]
    assert last.accuracy
    assert best.accuracy
    assert other.accuracy
    calls = {(first, best.name): 10, (second, last.name): 70, ("elsewhere", "x"): 5}
    assert _accuracy(name, calls) == pytest.approx(best.accuracy * last.accuracy)
    worst = min(published.variants.of(first), key=lambda each: each.accuracy or 0)
    assert worst.accuracy
    mixed = {**calls, (first, worst.name): 10}
    assert _accuracy(name, mixed) == pytest.approx((best.accuracy + worst.accuracy) / 2 * last.accuracy)
    assert _accuracy(name, {(first, best.name): 10}) == 0

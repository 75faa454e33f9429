"""Times and joules by batch size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.catalogue.curves import EIGHT, Curve, curves
from heterosis.catalogue.models import KEPT, find_model, models
from heterosis.catalogue.types import find_entry
from heterosis.terms.errors import UsageError

CURVES = st.sampled_from(curves())
BY_PLACE = {(curve.type, curve.mode, curve.model, curve.threads): curve for curve in curves()}


@given(CURVES, st.integers(1, 31))
def test_batches_grow(curve: Curve, batch: int) -> None:
    """A larger batch takes longer and more joules, but not more for each item."""
    for line in (curve.ms, curve.joules):
        assert 0 < line.at(batch) < line.at(batch + 1)
        assert line.at(batch + 1) / (batch + 1) <= line.at(batch) / batch * (1 + 1e-9)


@pytest.mark.parametrize("curve", curves(), ids=lambda curve: f"{curve.type} {curve.mode} {curve.model}")
def test_power_stays_within_the_devices(curve: Curve) -> None:
    """Idle and dynamic power of all slots together are no more than the device's active power."""
    entry = find_entry(curve.type)
    mode = entry.power_mode(curve.mode)
    for batch in (1, EIGHT, 32):
        power_w = curve.joules.at(batch) / curve.ms.at(batch) * 1e3 * (entry.slots // curve.threads)
        assert mode.idle_w + power_w <= 1.02 * mode.active_w


@pytest.mark.parametrize("model", models().model)
def test_saving_modes_are_slower_and_need_fewer_joules(model: str) -> None:
    """In MaxQ everything takes longer than in MAXN, and no more joules above idle."""
    for (type_, mode, name, threads), slow in BY_PLACE.items():
        if mode == "MaxQ" and name == model:
            fast = BY_PLACE[type_, "MAXN", model, threads]
            for batch in (1, EIGHT):
                assert slow.ms.at(batch) > fast.ms.at(batch)
                assert slow.joules.at(batch) < fast.joules.at(batch)


def test_published_figures_come_back() -> None:
    """Orin NX in MaxQ: the published mean and joules, idle power included, of one item and of eight."""
    curve = BY_PLACE["orin-nx", "MaxQ", "resnet50", 1]
    assert curve.ms.at(1) == pytest.approx(1.419952)
    assert curve.ms.at(8) == pytest.approx(0.99 * 8.3372)
    assert curve.joules.at(1) + 5.2 * curve.ms.at(1) / 1e3 == pytest.approx(0.019361)
    assert curve.joules.at(8) + 5.2 * curve.ms.at(8) / 1e3 == pytest.approx(0.098584)
    assert curve.quality == "published"


def test_offline_throughput_comes_back() -> None:
    """AGX Xavier in MaxQ: each further item takes the time and the joules of one in Offline."""
    curve = BY_PLACE["agx-xavier", "MaxQ", "resnet50", 1]
    assert 1e3 / curve.ms.per_item == pytest.approx(1506.5)
    assert curve.joules.per_item + 8.28 / 1506.5 == pytest.approx(0.01675)


def test_joules_of_another_mode_grow_with_the_speed_up() -> None:
    """Orin NX has no published joules in MAXN."""
    fast, slow = (BY_PLACE["orin-nx", mode, "retinanet", 1] for mode in ("MAXN", "MaxQ"))
    assert fast.joules.at(8) / slow.joules.at(8) == pytest.approx(slow.ms.at(8) / fast.ms.at(8))
    assert fast.quality == "modelled"


def test_scaled_times_are_near_what_was_published() -> None:
    """MobileNet on a T4, scaled from a Jetson by ResNet-50: MLPerf v0.5 has 141807 items per second on eight T4."""
    curve = BY_PLACE["t4-server", "default", "mobilenet-v1", 1]
    assert 1e3 / curve.ms.per_item == pytest.approx(141807 / 8, rel=0.15)
    assert curve.quality == "modelled"


@pytest.mark.parametrize("model", ["ssd-mobilenet", "ssd-resnet34"])
@pytest.mark.parametrize("place", [("agx-orin", "MAXN"), ("t4-server", "default"), ("a10-server", "default")])
def test_scaling_is_near_where_figures_are_on_both(place: tuple[str, str], model: str) -> None:
    """Detectors, from AGX Xavier to three other devices by ResNet-50, would be within 40 % of what was published."""

    def eight(where: tuple[str, str], name: str) -> float:
        return BY_PLACE[*where, name, 1].ms.at(EIGHT)

    xavier = ("agx-xavier", "MAXN")
    scaled = eight(xavier, model) * eight(place, "resnet50") / eight(xavier, "resnet50")
    assert scaled == pytest.approx(eight(place, model), rel=0.4)


def test_every_figure_has_a_source() -> None:
    """Of points and of models; each says more than nothing, and no source is left over."""
    used = {point.source for point in models().point} | {model.source for model in models().model.values()}
    assert used == set(models().sources)
    assert all("http" in curve.source for curve in curves())
    assert {curve.model for curve in curves()} == set(models().model)


def test_modelled_watts_say_where_they_are_from() -> None:
    """Power typed in by hand has a note, or is that of the vCPUs of the type."""
    for point in models().point:
        if point.dynamic_w is not None and not point.published_w:
            mode = find_entry(point.type).power_mode(point.mode)
            per_slot_w = (mode.active_w - mode.idle_w) / find_entry(point.type).slots
            assert "ower" in point.note or point.dynamic_w == pytest.approx(per_slot_w, rel=0.01)


def test_accuracy() -> None:
    """The engine's figure, the reference for fp32, and a share of it where nobody published one."""
    model = find_model("resnet50")
    assert model.accuracy_with("tensorrt", "int8") == 0.7603
    assert model.accuracy_with("tflite", "fp32") == model.reference
    assert model.accuracy_with("some", "int8") == KEPT * model.reference
    assert all(0 < curve.accuracy <= 1 for curve in curves())
    assert all(each.spread.p50 <= 1 <= each.spread.p95 <= each.spread.p99 for each in models().model.values())


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    """The message has what was probably meant."""
    with pytest.raises(UsageError, match="no model 'resnet-50'; did you mean resnet50"):
        find_model("resnet-50")

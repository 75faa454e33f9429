"""What points that were not measured are expected to be."""

import math

import pytest

from heterosis.profiling.prediction import SURE, Predictor
from heterosis.terms import Configuration, Energy, Latency, OperatingPoint, Quality

FIXED_MS, ITEM_MS, SERIAL = 4.0, 2.0, 0.2


def at(variant: str = "a/onnxruntime-fp32", threads: int = 1, mode: str = "default") -> Configuration:
    """Make a configuration."""
    return Configuration(stage="s", variant=variant, device_type="cpu", power_mode=mode, threads=threads)


def measured(configuration: Configuration, batch: int, speed: float = 1.0) -> OperatingPoint:
    """Measure a model that is affine in the batch and keeps to Amdahl's law, exactly."""
    p50_ms = (FIXED_MS + ITEM_MS * batch) * (SERIAL + (1 - SERIAL) / configuration.threads) / speed
    cpu_ms = (FIXED_MS + ITEM_MS * batch) / speed
    return OperatingPoint(
        configuration=configuration,
        batch=batch,
        latency=Latency(mean_ms=1.05 * p50_ms, p50_ms=p50_ms, p95_ms=1.2 * p50_ms, p99_ms=1.4 * p50_ms),
        cpu_ms=cpu_ms,
        dynamic_energy=Energy(cpu_ms / 1e3 * 3, Quality.MODELLED),
        memory_bytes=1000 * batch,
        samples=30,
        interval_ratio=0.02,
    )


def test_between_measured_batch_sizes_it_is_close() -> None:
    """An affine model is predicted within 3 % between the sizes that were measured, ratios of quantiles as they are."""
    predictor = Predictor([measured(at(), batch) for batch in (1, 2, 4, 8, 16)])
    for batch in (3, 6, 12):
        truth, found = measured(at(), batch), predictor.predict(at(), batch)
        assert found.p50_ms.value == pytest.approx(truth.latency.p50_ms, rel=0.03)
        assert found.cpu_ms.value == pytest.approx(truth.cpu_ms, rel=0.03)
        assert found.p95_ms == pytest.approx(truth.latency.p95_ms, rel=0.03)


def test_a_stage_tells_of_variants_that_were_measured_once() -> None:
    """How the reference scales with batch and threads is what another variant is expected to do."""
    reference = [measured(at(), 1), measured(at(), 8), measured(at(threads=2), 1)]
    other = at("b/onnxruntime-int8"), at("b/onnxruntime-int8", threads=2)
    predictor = Predictor([*reference, measured(other[0], 1, speed=2.0)])
    for configuration, batch in ((other[0], 8), (other[1], 1), (other[1], 8)):
        truth = measured(configuration, batch, speed=2.0)
        assert predictor.predict(configuration, batch).p50_ms.value == pytest.approx(truth.latency.p50_ms, rel=0.12)


def test_doubt_grows_with_the_distance() -> None:
    """It is least where something was measured, more beside that, more far off, and most there for another variant."""
    known = [measured(at(), 1), measured(at(), 8)]
    predictor = Predictor([*known, measured(at("b/openvino-fp32"), 1)])
    doubts = [
        predictor.predict(configuration, batch).p50_ms.sd
        for configuration, batch in ((at(), 8), (at(), 6), (at(), 32), (at("b/openvino-fp32"), 32))
    ]
    assert doubts == sorted(doubts)
    assert len(set(doubts)) == len(doubts)
    before = Predictor(known[:1]).predict(at(), 8).p50_ms
    assert before.at(-SURE) < known[1].latency.p50_ms < before.at(SURE)


def test_a_hopeful_point_is_better_in_time_and_energy() -> None:
    """Time, CPU time and joules are those of the interval's end; what nothing predicts is that of the next alike."""
    predictor = Predictor([measured(at(), 1), measured(at(), 4)])
    likely, hopeful = *predictor.points([(at(threads=2), 4)]), *predictor.points([(at(threads=2), 4)], -SURE)
    assert hopeful.latency.p50_ms < likely.latency.p50_ms
    assert hopeful.latency.p50_ms <= hopeful.latency.p95_ms <= hopeful.latency.p99_ms
    assert hopeful.cpu_ms < likely.cpu_ms
    assert (hopeful.dynamic_energy.joules or 0) == pytest.approx(hopeful.cpu_ms / 1e3 * 3)
    assert hopeful.memory_bytes == 4000
    assert (hopeful.samples, likely.samples) == (0, 0)
    assert likely.interval_ratio == pytest.approx(1.96 * predictor.predict(at(threads=2), 4).p50_ms.sd)


def test_another_power_mode_is_anyone_s_guess_until_it_was_measured() -> None:
    """After one variant was measured in it, others are expected to change as much."""
    slow = at(mode="15W")
    known = [measured(at(), 1), measured(at("b/onnxruntime-int8"), 1, speed=2.0)]
    unsure = Predictor(known).predict(at("b/onnxruntime-int8", mode="15W"), 1).p50_ms
    sure = Predictor([*known, measured(slow, 1, speed=0.5)]).predict(at("b/onnxruntime-int8", mode="15W"), 1).p50_ms
    assert unsure.sd > 2 * sure.sd
    assert math.isclose(sure.value, measured(slow, 1).latency.p50_ms, rel_tol=0.25)

"""Only of the emulated engine."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.engines.emulated import EmulatedEngine, EmulatedModel, EmulatedPoint
from heterosis.simulation.service import MeasuredTimes
from heterosis.terms import DYNAMIC, UNKNOWN, Energy, Quality, TensorSpec
from heterosis.terms.errors import EngineError
from heterosis.testing import Kind, make_latency, make_mixed_plan


def batch(size: int) -> dict[str, np.ndarray]:
    """Make inputs for the small model."""
    return {"image": np.zeros((size, 3, 4, 4), np.float32), "bias": np.zeros((size, 5), np.float32)}


@pytest.mark.parametrize(("size", "least_ms", "joules"), [(1, 11, 0.5), (2, 14, 2.0), (4, 14, 2.0), (5, 25, 2.5)])
def test_a_batch_takes_its_measured_time_and_energy(points: Path, size: int, least_ms: float, joules: float) -> None:
    """A size between two measured ones is padded to the next; a larger one than any takes several runs."""
    session = EmulatedEngine().load(points, threads=1)
    started = time.perf_counter()
    session.run(batch(size))
    assert least_ms <= (time.perf_counter() - started) * 1e3 < least_ms + 250
    assert session.energy == Energy(joules, Quality.MODELLED)


def test_it_says_that_it_is_emulated(points: Path) -> None:
    """Name and repr leave no doubt, and tell whose figures these are."""
    assert EmulatedEngine().name == "emulated"
    assert repr(EmulatedEngine().load(points, threads=1)) == "<emulated toy from a test, small.json>"


def test_unknown_energy_stays_unknown(tmp_path: Path, points: Path) -> None:
    """Points without joules add up to unknown, never to 0 J."""
    model = msgspec.json.decode(points.read_bytes(), type=EmulatedModel)
    silent = tuple(EmulatedPoint(batch=point.batch, latency_ms=point.latency_ms) for point in model.points)
    msgspec.structs.replace(model, points=silent).write(tmp_path / "silent.json")
    session = EmulatedEngine().load(tmp_path / "silent.json", threads=1)
    session.run(batch(1))
    assert session.energy == UNKNOWN


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e4)), min_size=1, max_size=6), st.floats(0, 1))
def test_drawn_times_lie_within_what_was_measured(pairs: list[tuple[float, float]], uniform: float) -> None:
    """No draw is shorter than the smallest quantile or longer than the largest."""
    quantiles = tuple(zip(sorted(p for p, _ in pairs), sorted(t for _, t in pairs), strict=True))
    drawn = EmulatedPoint(batch=1, latency_ms=quantiles).draw_ms(uniform)
    assert quantiles[0][1] <= drawn <= quantiles[-1][1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model["points"].reverse(), "ascending batch sizes"),
        (lambda model: model["points"].clear(), "ascending batch sizes"),
        (lambda model: model["points"][0].update(batch=0), "batch 0"),
        (lambda model: model["points"][0].update(latency_ms=[]), "ascending"),
        (lambda model: model["points"][0].update(latency_ms=[[50, 9], [99, 8]]), "must ascend"),
        (lambda model: model["points"][0].update(latency_ms=[[50, 9], [101, 10]]), "0..100"),
        (lambda model: model.update(devise="a misspelt field"), "devise"),
    ],
)
def test_points_that_make_no_sense_are_refused(points: Path, change: Callable[[Any], None], said: str) -> None:
    """The error names the file and what is wrong in it."""
    model = msgspec.json.decode(points.read_bytes())
    change(model)
    points.write_bytes(msgspec.json.encode(model))
    with pytest.raises(EngineError, match=said) as error:
        EmulatedEngine().load(points, threads=1)
    assert str(points) in str(error.value)


def test_it_draws_from_the_distribution_that_the_simulator_draws_from(tmp_path: Path) -> None:
    """A rehearsal and a simulation of the same operating points differ by chance alone."""
    kind = Kind(latencies=(make_latency(20, 30, 50), make_latency(30, 35, 40)), power_w=5.0)
    plan = make_mixed_plan("a", {"toy": kind}, slo_ms=100, folder=tmp_path)
    configuration = plan.placements[0].configuration
    model = EmulatedModel.of(plan.points, (), (), "a test")
    rng, times = np.random.default_rng(1), MeasuredTimes(plan)
    for batch, point in enumerate(model.points, 1):
        emulated = [point.draw_ms(uniform) for uniform in np.random.default_rng(2).random(10_000)]
        simulated = [times.draw(configuration, batch, rng) * 1e3 for _ in range(10_000)]
        at = [1, 10, 50, 90, 95, 99]
        assert np.percentile(emulated, at) == pytest.approx(np.percentile(simulated, at), rel=0.03)
        assert np.mean(emulated) == pytest.approx(kind.latencies[batch - 1].mean_ms, rel=0.01)
    assert model.points[1].energy == plan.points[1].dynamic_energy


def test_faults_slow_it_down_while_it_runs(tmp_path: Path) -> None:
    """From the batch after the file is written, and only the device that is named."""
    faults = tmp_path / "faults.json"
    path = tmp_path / "model.json"
    spec = TensorSpec(name="x", dtype="float32", shape=(DYNAMIC, 2))
    model = EmulatedModel(
        device="toy",
        source="a test",
        inputs=(spec,),
        outputs=(spec,),
        points=(EmulatedPoint(batch=1, latency_ms=((50.0, 1.0),)),),
        unit="rack/toy-1",
        faults=str(faults),
    )
    model.write(path)
    session = EmulatedEngine().load(path, 1)
    assert session.slowness() == 1.0
    faults.write_text('{"rack/toy-1": 3.0}')
    assert session.slowness() == 3.0
    faults.write_text('{"rack/toy-2": 5.0, "rack/toy-1": 1.5}')
    os.utime(faults, ns=(1, 1))
    assert session.slowness() == 1.5
    faults.unlink()
    assert session.slowness() == 1.0


def test_it_takes_as_long_to_load_as_the_real_one(tmp_path: Path) -> None:
    """So that the cost of a change of plan is rehearsed, too."""
    spec = TensorSpec(name="x", dtype="float32", shape=(DYNAMIC, 2))
    points = (EmulatedPoint(batch=1, latency_ms=((50.0, 1.0),)),)
    path = tmp_path / "model.json"
    EmulatedModel(device="toy", source="a test", inputs=(spec,), outputs=(spec,), points=points, load_ms=80.0).write(
        path
    )
    begin = time.perf_counter()
    EmulatedEngine().load(path, 1)
    assert time.perf_counter() - begin >= 0.08

"""Profiling a pipeline from end to end, with small models."""

import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from heterosis.pipeline import FUNCTION, load_pipeline
from heterosis.pipeline.opening import open_runner
from heterosis.profiling import Progress, Settings, bench, profile
from heterosis.profiling.inputs import load_inputs
from heterosis.profiling.sampling import Measurement, Start, measure
from heterosis.profiling.search import Decide
from heterosis.terms import (
    UNKNOWN,
    Choice,
    Device,
    DeviceType,
    OperatingPoint,
    PowerMode,
    Profile,
    Quality,
    Variant,
    VariantSet,
)
from heterosis.terms.errors import StageError, UsageError

PIPELINE = """
import numpy as np
import heterosis as hs

class Score:
    models = {"large": "large.onnx", "small": "small.onnx"}
    def before(self, row):
        return row
    def after(self, output, row):
        return float(output.sum())

class Round:
    def run(self, value):
        return round(value)

class Never:
    def run(self):
        pass

score, round_off, never = hs.stage(Score), hs.stage(Round), hs.stage(Never)

@hs.pipeline(slo=hs.Slo(latency_ms=1000))
async def p(row: np.ndarray) -> int:
    if row.sum() > 1e9:
        await never()
    return await round_off(await score(row))
"""
POWER = PowerMode(name="default", idle_power_w=1.0, active_power_w=5.0)
CPU = Device(name="cpu", type=DeviceType(name="c", kind="cpu", power_modes=(POWER,), quality=Quality.MODELLED), slots=2)
QUICK = Settings(threads=(1,), batches=(1, 2, 4), budget_s=math.inf)
TINY = Settings(threads=(1,), batches=(1, 2), budget_s=60)
ROWS = [(np.full(64, number, np.float32),) for number in range(8)]
INPUTS: dict[str, Sequence[tuple[Any, ...]]] = {"score": ROWS, "round": [(number + 0.4,) for number in range(8)]}


def model(path: Path, layers: int) -> Path:
    """Write a model of so many 64 x 64 layers."""
    weights = numpy_helper.from_array(np.eye(64, dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", [f"x{n}", "w"], [f"x{n + 1}"]) for n in range(layers)]
    ends = [helper.make_tensor_value_info(f"x{n}", TensorProto.FLOAT, ["batch", 64]) for n in (0, layers)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


class World:
    """A pipeline file, its variants and a store."""

    def __init__(self, folder: Path) -> None:
        """Write everything down."""
        self.file = folder / "pipe.py"
        self.file.write_text(PIPELINE)
        self.store = folder / "store"
        self.large = self.variant("large", str(model(folder / "large.onnx", 400)), 0.9)
        self.small = self.variant("small", str(model(folder / "small.onnx", 20)), 0.8)
        self.variants = [
            self.large,
            self.small,
            Variant(stage="round", model=FUNCTION, engine=FUNCTION, precision="", artifact="", digest="r"),
            Variant(stage="never", model=FUNCTION, engine=FUNCTION, precision="", artifact="", digest="n"),
        ]
        self.events: list[Progress] = []
        self.found: Profile | None = None

    def copied(self, folder: Path) -> "World":
        """Make another one that knows what this one has measured."""
        folder.mkdir()
        copy = World(folder)
        shutil.copytree(self.store, copy.store)
        return copy

    def variant(self, name: str, artifact: str, accuracy: float) -> Variant:
        """Make a variant of the stage with a model."""
        return Variant(
            stage="score",
            model=name,
            engine="onnxruntime",
            precision="fp32",
            artifact=artifact,
            digest=name,
            accuracy=accuracy,
        )

    def profile(
        self,
        settings: Settings = QUICK,
        device: Device = CPU,
        decide: Sequence[Decide] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Profile:
        """Profile, noting the progress."""
        self.events.clear()
        return profile(
            str(self.file),
            VariantSet(pipeline="p", variants=tuple(self.variants)),
            INPUTS,
            device,
            store=self.store,
            settings=settings,
            decide=decide,
            progress=progress or self.events.append,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make a fresh one."""
    return World(tmp_path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One that has measured everything, by real processes, and has not been changed since."""
    found = World(tmp_path_factory.mktemp("measured"))
    found.found = found.profile()
    return found


@pytest.fixture
def known(measured: World, tmp_path: Path) -> World:
    """That one, to be changed."""
    return measured.copied(tmp_path / "copy")


class InProcess:
    """Measures here, without a process of its own: for what does not depend on there being one."""

    pid = os.getpid()

    def __init__(self, target: str, variant: Variant, threads: int, _cores: object, inputs: str) -> None:
        """Open the stage."""
        stage = next(stage for stage in load_pipeline(target).stages if stage.name == variant.stage)
        self._runner = open_runner(stage, variant, threads)
        self._calls = load_inputs(inputs)
        self.start = Start(start_ms=1.0, load_ms=1.0, first_ms=1.0, cpu_ms=3.0, memory_bytes=1)

    def measure(self, batch: int, _seconds: float, *, whole: bool = False) -> Measurement:  # noqa: ARG002
        """Measure as briefly as possible."""
        return measure(self._runner, self._calls, batch, 0.01, 1.0)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no processes."""
    monkeypatch.setattr("heterosis.profiling.source.Bench", InProcess)


class Wants:
    """Somebody who wants all points, or some; the more of them there are, the better."""

    def wanted(self, _point: OperatingPoint) -> bool:
        """Whether a point is one of them."""
        return True

    def __call__(self, points: Sequence[OperatingPoint]) -> Choice:
        """Use them."""
        uses = frozenset((point.configuration, point.batch) for point in points if self.wanted(point))
        return Choice(cost=1 / (1 + len(uses)), uses=uses)

    def settle(self, _known: Sequence[OperatingPoint]) -> bool:
        """Stay with it."""
        return False


def points(found: Profile) -> list[tuple[str, str, int, int]]:
    """Which points there are."""
    return [(p.configuration.stage, p.configuration.variant, p.configuration.threads, p.batch) for p in found.points]


def test_profiles_models_and_functions(measured: World) -> None:
    """Every variant has its points, with latency, CPU time, modelled energy and memory."""
    found = measured.found
    assert found is not None
    first = {p.configuration.variant: p for p in found.points if p.batch == 1}
    assert set(first) == {measured.large.name, measured.small.name, measured.variants[2].name}
    large, small, function = (first[variant.name] for variant in measured.variants[:3])
    assert large.latency.p50_ms > small.latency.p50_ms > function.latency.p50_ms > 0
    assert large.cpu_ms > small.cpu_ms > 0
    assert large.dynamic_energy.joules == pytest.approx(large.cpu_ms / 1e3 * 2.0)
    assert large.dynamic_energy.quality is Quality.MODELLED
    assert large.memory_bytes > 20e6
    assert {p.configuration.device_type for p in found.points} == {"c"}
    assert found.versions.keys() >= {"python", "numpy", "onnxruntime"}
    assert "cores" in found.machine
    assert {p.batch for p in found.points if p.configuration.variant == large.configuration.variant} > {1}


def test_progress_counts_to_the_end(measured: World) -> None:
    """Settled points grow up to the total of what is wanted."""
    ends = [(event.done, event.total) for event in measured.events if event.point]
    assert [done for done, _ in ends] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [total for _, total in ends] == sorted(total for _, total in ends)
    assert ends[-1] == (9, 9)
    assert [event.point is None for event in measured.events[:2]] == [True, False]


def test_starts_are_measured_apart(measured: World) -> None:
    """Every configuration says how long its process took to run, to load, and to answer first, and at what cost."""
    assert measured.found is not None
    starts = {start.configuration.variant: start for start in measured.found.cold_starts}
    large = starts[measured.large.name]
    assert large.start_ms > 50
    assert large.load_ms > 0
    assert large.first_ms > 0
    assert large.cpu_ms > large.first_ms
    assert large.energy.joules == pytest.approx(large.cpu_ms / 1e3 * 2.0)
    assert large.memory_bytes > 20e6
    assert large.starts == 1, "where time is no matter, all is measured in one go"


def test_a_second_run_reads_everything(measured: World, known: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any process the same profile comes out, at once; only the energy follows the device."""

    def refuse(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(bench.Bench, "__init__", refuse)
    started = time.process_time()
    found = known.profile()
    assert time.process_time() - started < 1
    assert found == measured.found
    assert not known.events
    unknown = known.profile(device=Device(name="cpu", type=DeviceType(name="c", kind="cpu"), slots=2))
    assert points(unknown) == points(found)
    assert {point.dynamic_energy for point in unknown.points} == {UNKNOWN}


def test_a_broken_variant_is_left_out(known: World, tmp_path: Path) -> None:
    """One that cannot load stands among the excluded; the others are measured all the same."""
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    known.variants.insert(1, known.variant("broken", str(tmp_path / "broken.onnx"), 0.95))
    found = known.profile()
    reasons = {entry.name: entry.reason for entry in found.excluded}
    assert "failed: EngineError" in reasons["broken/onnxruntime-fp32, 1 thread"]
    assert ("score", known.small.name, 1, 1) in points(found)


def test_a_stage_without_any_working_variant_is_an_error(known: World, tmp_path: Path) -> None:
    """The error names the stage and why its reference failed; a stage without variants says what to do."""
    known.variants = [known.variant("gone", str(tmp_path / "gone.onnx"), 0.9), *known.variants[2:]]
    with pytest.raises(
        StageError, match=r"stage 'score': no variant can be measured; gone/onnxruntime-fp32.*no model file"
    ):
        known.profile()
    known.variants = known.variants[1:]
    with pytest.raises(UsageError, match="stage 'score' has no variant to profile; build"):
        known.profile()


def test_an_interrupted_run_loses_at_most_the_running_point(world: World) -> None:
    """After Ctrl-C at any point, the next run takes over all that was measured and ends like any other."""
    world.variants = world.variants[1:]
    complete: Profile | None = None
    known: list[Any] = []

    def interrupt(event: Progress) -> None:
        if event.point is not None:
            known.append(event.point)
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            complete = world.profile(TINY, progress=interrupt)
            break
        except KeyboardInterrupt:
            continue
    assert complete is not None
    assert len(known) == len(complete.points) == 4
    assert set(known) == set(complete.points)
    assert world.profile(TINY) == complete


@pytest.mark.usefixtures("in_process")
def test_what_was_left_out_is_said(world: World) -> None:
    """A stage that no sample calls, and batches that do not pay, are in the profile with the reason."""
    found = world.profile(Settings(threads=(1,), batches=(1, 2, 4), cap_ms=0.01))
    reasons = {(entry.stage, entry.name): entry.reason for entry in found.excluded}
    assert "no sample calls this stage" in reasons["never", "every variant"]
    assert "batches above 1 take more than 0.01 ms" in reasons["score", f"{world.large.name}, 1 thread"]


@pytest.mark.usefixtures("in_process")
def test_what_decides_is_asked_what_to_measure(world: World) -> None:
    """With somebody who decides, the coarse grid is measured and what that one wants, until he wants no more."""

    class Decider(Wants):
        def wanted(self, point: OperatingPoint) -> bool:
            return point.configuration.variant == world.small.name and point.batch == 2

    found = world.profile(Settings(threads=(1, 2), batches=(1, 2), budget_s=60), decide=[Decider()])
    large, small = world.large.name, world.small.name
    assert sorted(points(found)) == [
        ("round", world.variants[2].name, 1, 1),
        ("round", world.variants[2].name, 1, 2),
        ("score", large, 1, 1),
        ("score", large, 1, 2),
        ("score", large, 2, 1),
        ("score", small, 1, 1),
        ("score", small, 1, 2),
        ("score", small, 2, 2),
    ]
    reasons = {entry.name: entry.reason for entry in found.excluded}
    assert "batch 1 not measured: at its best it would not be in the plan" in reasons[f"{small}, 2 threads"]


@pytest.mark.usefixtures("in_process")
def test_when_the_time_is_over_the_coarse_grid_remains(world: World) -> None:
    """A budget that is far too small still gives every variant its first point, and says what is missing."""

    def within(budget_s: float) -> Profile:
        return world.profile(Settings(threads=(1,), batches=(1, 2), budget_s=budget_s), decide=[Wants()])

    found = within(0.001)
    assert sorted(point[3] for point in points(found)) == [1, 1, 1, 2, 2]
    reasons = {entry.name: entry.reason for entry in found.excluded}
    assert "the time budget of 0.001 s was over" in reasons[f"{world.small.name}, 1 thread"]
    more = within(60)
    assert len(more.points) == 6
    assert set(found.points) < set(more.points)

"""A device that is not here, rehearsed: sleeps the measured time of an operating point and tells its measured joules.

An artifact is a JSON file: what the model takes and gives, and for each batch size measured quantiles of the latency.
Outputs are zeros of the right shape. Nothing is computed, and the name and the repr say so.

Where the artifact names a file of faults, a rehearsal can slow devices down while they run: that is a JSON object of
factors by device, looked at before each batch. At a factor of 0 the device is dead: its process is killed, with all
that it hosts, and nothing loads until there is another.
"""

import bisect
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, UNKNOWN, Energy, Latency, OperatingPoint, TensorSpec
from heterosis.terms.errors import EngineError
from heterosis.terms.profile import QUANTILES_AT, quantiles

Specs = tuple[TensorSpec, ...]

DEAD_S = 0.1
"""How often it is looked whether a dead device is back."""


class EmulatedPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One batch size, as measured or published."""

    batch: int
    latency_ms: tuple[tuple[float, float], ...]
    """Quantiles: (percent, milliseconds), both ascending; one is enough where no more is known."""
    energy: Energy = UNKNOWN
    """Energy of one batch above the device's idle power."""

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        percents, times = zip(*self.latency_ms, strict=True) if self.latency_ms else ((), ())
        if self.batch < 1 or not times or times[0] < 0 or list(percents) != sorted(percents):
            raise ValueError(
                f"batch {self.batch}: needs ascending (percent, milliseconds) pairs, got {self.latency_ms}"
            )
        if list(times) != sorted(times) or not 0 <= percents[0] <= percents[-1] <= 100:  # noqa: PLR2004
            raise ValueError(f"batch {self.batch}: latencies must ascend with percents in 0..100: {self.latency_ms}")

    def draw_ms(self, uniform: float) -> float:
        """Return the latency at a position of the distribution (0..1), interpolated between the quantiles."""
        percents, times = zip(*self.latency_ms, strict=True)
        return float(np.interp(uniform * 100, percents, times))


class EmulatedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an artifact. A dynamic axis of an output takes the batch's length if first, else 1."""

    device: str
    source: str
    """Where the figures come from."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    points: tuple[EmulatedPoint, ...]
    load_ms: float = 0.0
    """How long it takes to load."""
    unit: str = ""
    """The device that it stands for, as node/device."""
    faults: str = ""
    """Path of a file of factors by ``unit``: batches take so many times as long. There need not be one."""

    def __post_init__(self) -> None:
        """Refuse a model without points, or with points out of order."""
        batches = [point.batch for point in self.points]
        if not batches or batches != sorted(set(batches)):
            raise ValueError(f"needs operating points of ascending batch sizes, got batches {batches}")

    @classmethod
    def of(cls, points: Sequence[OperatingPoint], inputs: Specs, outputs: Specs, source: str) -> "EmulatedModel":
        """Rehearse the operating points of one configuration: their whole distribution is that of the simulator."""
        at = sorted(points, key=lambda point: point.batch)
        return cls(
            device=at[0].configuration.device_type,
            source=source,
            inputs=inputs,
            outputs=outputs,
            points=tuple(
                EmulatedPoint(batch=point.batch, latency_ms=_distribution(point.latency), energy=point.dynamic_energy)
                for point in at
            ),
        )

    def write(self, path: Path) -> None:
        """Write the artifact."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))


class EmulatedEngine:
    """Loads operating points instead of models."""

    name = "emulated"

    def load(self, artifact: Path, threads: int) -> "EmulatedSession":  # noqa: ARG002 - its points are of one count
        """Load operating points; see `Engine.load`."""
        check_file(artifact)
        try:
            model = msgspec.json.decode(artifact.read_bytes(), type=EmulatedModel)
        except (msgspec.DecodeError, ValueError) as error:
            raise EngineError(f"{artifact} holds no operating points to emulate: {error}") from error
        session = EmulatedSession(artifact, model)
        while session.slowness() == 0:
            time.sleep(DEAD_S)
        time.sleep(model.load_ms / 1e3)
        return session


class EmulatedSession:
    """An emulated model. ``energy`` is what the batches so far would have drawn above idle."""

    def __init__(self, artifact: Path, model: EmulatedModel, seed: int | None = None) -> None:
        """Start; ``seed`` makes the drawn latencies repeatable."""
        self.artifact = artifact
        self.model = model
        self.inputs = model.inputs
        self.outputs = model.outputs
        self.energy = model.points[0].energy * 0.0
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._closed = False
        self._faults_read_at = 0
        self._factor = 1.0

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Sleep as long as the batch would have taken; see `Session.run`. Give zeros."""
        if self._closed:
            raise EngineError(f"{self.artifact}: the session is closed")
        started = time.perf_counter()
        check_inputs(inputs, self.inputs, self.artifact)
        batch = len(inputs[self.inputs[0].name]) if self.inputs else 1
        slowness = self.slowness()
        if slowness == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        seconds = slowness * self._draw_ms(batch) / 1e3
        outputs = {spec.name: _zeros(spec, batch) for spec in self.outputs}
        time.sleep(max(0.0, started + seconds - time.perf_counter()))
        return outputs

    def close(self) -> None:
        """Refuse to run from now on."""
        self._closed = True

    def __repr__(self) -> str:
        """Say that nothing is computed here."""
        return f"<emulated {self.model.device} from {self.model.source}, {self.artifact.name}>"

    def slowness(self) -> float:
        """How many times as long as profiled the device takes now; 0 where it is dead."""
        if not self.model.faults:
            return 1.0
        try:
            changed_at = Path(self.model.faults).stat().st_mtime_ns
            if changed_at != self._faults_read_at:
                factors = msgspec.json.decode(Path(self.model.faults).read_bytes(), type=dict[str, float])
                self._faults_read_at, self._factor = changed_at, factors.get(self.model.unit, 1.0)
        except FileNotFoundError:
            self._factor = 1.0
        return self._factor

    def _draw_ms(self, batch: int) -> float:
        """Draw the time of a batch: padded to the next measured size, in several runs where it is past the largest."""
        points = self.model.points
        drawn = 0.0
        while batch > 0:
            at = bisect.bisect_left([point.batch for point in points], batch)
            point = points[min(at, len(points) - 1)]
            drawn += point.draw_ms(self._random.random())
            self.energy = self.energy + point.energy
            batch -= point.batch
        return drawn


def _distribution(latency: Latency) -> tuple[tuple[float, float], ...]:
    times = quantiles(latency.p50_ms, latency.p95_ms, latency.p99_ms)
    return tuple((100 * at, time_ms) for at, time_ms in zip(QUANTILES_AT, times, strict=True))


def _zeros(spec: TensorSpec, batch: int) -> np.ndarray[Any, Any]:
    if not spec.shape:
        return np.zeros((), spec.dtype)
    first, *rest = spec.shape
    shape = (batch if first == DYNAMIC else first, *(1 if length == DYNAMIC else length for length in rest))
    return np.zeros(shape, spec.dtype)

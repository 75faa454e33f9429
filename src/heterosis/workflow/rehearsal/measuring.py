"""Measures emulated devices anew: their artifacts are run again, batch size by batch size, as slow as they are now."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from heterosis.control import Measure
from heterosis.control.speeds import profiled, slowed
from heterosis.engines.emulated import EmulatedEngine
from heterosis.engines.engine import Session
from heterosis.terms import OperatingPoint, Placement
from heterosis.workflow.rehearsal.emulation import FEATURES, Artifacts

RUNS = 9
"""Of each batch size."""


class EmulatedMeasurer:
    """Sleeps through every operating point of a device some times."""

    def __init__(self, artifacts: Artifacts, points: Sequence[OperatingPoint]) -> None:
        """Take the profile, and what instances load."""
        self._artifacts, self._points = artifacts, points

    async def measure(self, act: Measure) -> Sequence[OperatingPoint]:
        """See `heterosis.serving.adaptation.Measurer`."""
        found: list[OperatingPoint] = []
        for placement in act.placements:
            found += await asyncio.to_thread(self._measured, placement)
        return found

    def _measured(self, placement: Placement) -> list[OperatingPoint]:
        configuration = profiled(placement.configuration)
        session = EmulatedEngine().load(Path(self._artifacts.write(placement)), configuration.threads)
        try:
            return [
                _point(point, [_timed(session, point.batch) for _ in range(RUNS)])
                for point in self._points
                if point.configuration == configuration and point.batch <= placement.max_batch
            ]
        finally:
            session.close()


def _timed(session: Session, batch: int) -> float:
    """Milliseconds that a batch takes."""
    began = time.perf_counter()
    session.run({session.inputs[0].name: np.zeros((batch, FEATURES), np.float32)})
    return 1e3 * (time.perf_counter() - began)


def _point(point: OperatingPoint, times_ms: Sequence[float]) -> OperatingPoint:
    """The point as measured now: so few runs tell the median, and the profile how far the tail lies from that."""
    as_slow = slowed(point, statistics.median(times_ms) / point.latency.p50_ms)
    return replace(as_slow, samples=len(times_ms))

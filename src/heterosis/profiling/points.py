"""Operating points of one configuration: read from its record, or measured."""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from heterosis.profiling.bench import Bench
from heterosis.profiling.joules import Joules
from heterosis.profiling.records import Record, Records
from heterosis.profiling.sampling import Measurement
from heterosis.terms import UNKNOWN, ColdStart, Configuration, OperatingPoint


class Points:
    """The points of one configuration; a context manager that ends the process which measures them.

    That process starts with the first point that the record does not have. Every point is recorded at once.
    """

    def __init__(
        self, configuration: Configuration, record: Record, records: Records, start: Callable[[], Bench], joules: Joules
    ) -> None:
        """Take what the record has; ``start`` makes the process for the rest."""
        self.configuration = configuration
        self.record = record
        self.stale = ""
        """What was on record, and no longer holds."""
        self._records = records
        self._start = start
        self._joules = joules
        self._bench: Bench | None = None
        self._stack = ExitStack()

    def known(self) -> list[OperatingPoint]:
        """Return what needs no measuring, by batch size."""
        return [self._operating_point(each) for each in self.record.measurements]

    def measure(self, batch: int, seconds: float) -> OperatingPoint:
        """Measure a point for about so many seconds. Raise ProbeError where that fails."""
        if self._bench is None:
            self._joules.open()
            self._bench = self._stack.enter_context(self._start())
            self._joules.watch(self._bench.pid)
            self.record = self.record.begun(self._bench.start)
        measured = self._joules.counted(self._bench.measure(batch, seconds))
        self.record = self.record.plus(measured)
        self._records.save(self.record)
        return self._operating_point(measured)

    def cold_start(self) -> ColdStart | None:
        """Return the mean of the starts on record; None where there is none."""
        starts = self.record.starts
        if not starts:
            return None
        figures = np.mean([(each.start_ms, each.load_ms, each.first_ms, each.cpu_ms) for each in starts], axis=0)
        start_ms, load_ms, first_ms, cpu_ms = figures.tolist()
        return ColdStart(
            configuration=self.configuration,
            start_ms=start_ms,
            load_ms=load_ms,
            first_ms=first_ms,
            cpu_ms=cpu_ms,
            energy=self._joules.modelled(cpu_ms, self.configuration.power_mode),
            memory_bytes=max(each.memory_bytes for each in starts),
            starts=len(starts),
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._stack.close()
        self._bench = None

    def _operating_point(self, measured: Measurement) -> OperatingPoint:
        figures = {name: value for name, value in msgspec.structs.asdict(measured).items() if name != "window"}
        if measured.dynamic_energy == UNKNOWN:
            figures["dynamic_energy"] = self._joules.modelled(measured.cpu_ms, self.configuration.power_mode)
        return OperatingPoint(configuration=self.configuration, **figures)

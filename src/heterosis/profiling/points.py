"""Operating points of one configuration: read from its record, or measured."""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec

from heterosis.profiling.bench import Bench
from heterosis.profiling.records import Record, Records
from heterosis.profiling.sampling import Measurement
from heterosis.profiling.settings import Budget
from heterosis.terms import UNKNOWN, Configuration, Device, Energy, OperatingPoint, Quality, Variant


class Points:
    """The points of one configuration; a context manager that ends the process which measures them.

    That process starts with the first point that the record does not have. Every point is recorded at once.
    """

    def __init__(
        self, record: Record, records: Records, start: Callable[[], Bench], variant: Variant, device: Device, mode: str
    ) -> None:
        """Take what the record has; ``start`` makes the process for the rest."""
        self.variant = variant
        self.record = record
        self._records = records
        self._start = start
        self._device = device
        self._mode = mode
        self._bench: Bench | None = None
        self._stack = ExitStack()

    def knows(self, batch: int) -> bool:
        """Whether a point needs no measuring."""
        return self.record.at(batch) is not None

    def out_of_time(self, batch: int, budget: Budget) -> str | None:
        """Say so where there is no time to measure a point, now or in an earlier run with no smaller a budget."""
        if self.knows(batch):
            return None
        if budget.over and self.record.cut_at_s < budget.seconds:
            self.record = msgspec.structs.replace(self.record, cut_at_s=budget.seconds)
            self._records.save(self.record)
        if self.record.cut_at_s < budget.seconds:
            return None
        return f"its share of the time budget of {self.record.cut_at_s:g} s was over"

    def at(self, batch: int, seconds: float) -> OperatingPoint:
        """Read a point, or measure it for about so many seconds. Raise ProbeError where that fails."""
        found = self.record.at(batch)
        if found is None:
            if self._bench is None:
                self._bench = self._stack.enter_context(self._start())
            found = self._bench.measure(batch, seconds)
            self.record = self.record.plus(found)
            self._records.save(self.record)
        return self._operating_point(found)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._stack.close()

    def _operating_point(self, measured: Measurement) -> OperatingPoint:
        power_w = self._device.dynamic_power_w(self._mode)
        energy = UNKNOWN if power_w is None else Energy(measured.cpu_ms / 1e3 * power_w, Quality.MODELLED)
        configuration = Configuration(
            stage=self.variant.stage,
            variant=self.variant.name,
            device_type=self._device.type.name,
            power_mode=self._mode,
            threads=self.record.subject.threads,
        )
        return OperatingPoint(configuration=configuration, dynamic_energy=energy, **msgspec.structs.asdict(measured))

"""Joules of a fleet by what its scheduler did: modelled, for devices that cannot be measured or are not here.

What the simulator counts while it runs, this counts from records: idle power of the devices that have instances, the
power of each batch's operating point for as long as its instance said that it ran, changes of modes, loads.
"""

from collections.abc import Iterable

from heterosis.control.energy import DynamicPower, Joules
from heterosis.control.power import Meter, Power
from heterosis.control.speeds import profiled
from heterosis.control.telemetry import Change, Ran
from heterosis.scheduling import InstanceReady, Record, RunBatch, SetPowerMode, StartInstance
from heterosis.terms import OperatingPoint, Placement


class Account:
    """Follows the devices of a fleet through a scheduler's records."""

    def __init__(self, power: Power, points: Iterable[OperatingPoint]) -> None:
        """Count for a fleet, by these operating points."""
        self._meter, self._dynamic = Meter(power, ()), DynamicPower(points)
        self._joules: float | None = 0.0
        self._instances: dict[str, Placement] = {}
        self._batches: dict[int, str] = {}
        """Batches that run, with their instances."""

    def observe(self, record: Record, told: Ran | Change | None) -> None:
        """Take a step, and what `Telemetry` found in it."""
        at = record.at
        if isinstance(told, Ran):
            self._ran(told, self._batches.pop(record.event.batch, None), at)  # type: ignore[union-attr]
        elif isinstance(told, Change):
            self._changed(told.placement, told.event, at, wanted=told.wanted)
        for effect in record.effects:
            match effect:
                case RunBatch(batch=batch, instance=instance):
                    hosted = self._instances.get(instance)
                    if hosted is not None:
                        self._batches[batch] = instance
                        self._meter.begin(hosted.unit, at)
                case StartInstance(placement=placement):
                    self._instances[placement.instance] = placement
                    self._meter.present(self._instances.values(), at)
                case SetPowerMode(node=node, device=device, mode=mode):
                    self._meter.switch((node, device), mode, at)

    def joules(self, now: float) -> Joules:
        """All that was drawn up to now, by what it was spent on."""
        found = self._meter.total(now)
        found.dynamic = self._dynamic.energy(self._joules)
        return found

    def _ran(self, ran: Ran, instance: str | None, at: float) -> None:
        watts = self._dynamic.watts(profiled(ran.placement.configuration), ran.items)
        if watts is None or self._joules is None:
            self._joules = None
        else:
            self._joules += watts * ran.run_s
        if instance is not None:
            self._meter.end(ran.placement.unit, at)

    def _changed(self, placement: Placement, event: object, at: float, *, wanted: bool) -> None:
        if isinstance(event, InstanceReady):
            self._meter.start(placement, event.load_ms / 1e3)
            return
        known = self._instances.pop(placement.instance, None)
        for batch, instance in list(self._batches.items()):
            if instance == placement.instance and known is not None:
                del self._batches[batch]
                self._meter.end(known.unit, at)
        self._meter.present(self._instances.values(), at, lost=placement.unit if wanted else None)

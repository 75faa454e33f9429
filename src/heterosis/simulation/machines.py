"""What simulated instances do: they load, run batches, fail, are repaired, and draw power all the while."""

from collections.abc import Sequence

import msgspec
import numpy as np

from heterosis.control.energy import DynamicPower, Joules
from heterosis.control.power import Meter
from heterosis.control.speeds import profiled
from heterosis.scheduling import BatchDone, InstanceDown, InstanceReady, RunBatch, Scheduler
from heterosis.scheduling.capacity import Place
from heterosis.scheduling.state import BatchRecord, Unit
from heterosis.scheduling.states import InstanceState
from heterosis.simulation.cores import Cores
from heterosis.simulation.failures import DeviceFailure, Failure, Slowdown
from heterosis.simulation.kernel import Kernel
from heterosis.simulation.lives import Happening, Lives, Served
from heterosis.simulation.progress import Flight
from heterosis.simulation.service import MeasuredTimes, Service
from heterosis.simulation.setting import Setting
from heterosis.terms import Energy, Placement, Plan

JUST_S = 1e-4
"""What a batch may lack of its end and still be taken to have ended: one that is held up is not looked at for ever."""

_ALIVE = {InstanceState.STARTING, InstanceState.READY, InstanceState.DRAINING}


class Machines:
    """The instances of one run, and their devices. Times in seconds."""

    def __init__(
        self,
        scheduler: Scheduler,
        kernel: Kernel[Happening],
        *,
        plans: Sequence[Plan],
        service: Service | None,
        setting: Setting,
        seed: int,
        bias: float,
    ) -> None:
        """Know all plans of the run and the operating points of whatever it may run. See `Simulator` for the rest."""
        steered = () if setting.steering is None else setting.steering.points
        profiles = [*(each.points for each in plans), steered]
        points = tuple({(point.configuration, point.batch): point for of in profiles for point in of}.values())
        self._scheduler, self._kernel = scheduler, kernel
        self._service = service or MeasuredTimes(msgspec.structs.replace(plans[0], points=points))
        self._rng = np.random.default_rng(seed)
        self._bias = bias
        overhead = plans[0].overhead
        self._cores = Cores(overhead.cores) if overhead.cores and overhead.cpu_ms else None
        """Where the server's own process needs some of what the instances run on."""
        self._hop_s = overhead.hop_ms / 2e3
        """From the router to a worker, or back."""
        self._served_at = 0.0
        """When it is through with the request that it is at."""
        self._lives = Lives(kernel, points, setting.random_failures)
        self._network, self._occupancy = setting.network, setting.occupancy
        self._meter = None if setting.power is None else Meter(setting.power, plans)
        self._dynamic = DynamicPower(points)
        self._joules, self._joules_known = 0.0, True
        self._loads = setting.load_at_start
        self._flights: dict[int, Flight] = {}
        self._busy_until: dict[str, float] = {}
        self._slow: dict[Unit, float] = {}
        """Devices that take so many times as long as profiled."""

    @property
    def running(self) -> bool:
        """Whether any batch is on its way."""
        return bool(self._flights)

    def begun(self) -> None:
        """Note that the first instances are there: those that start from now on have to load."""
        self._loads = True

    # --- batches

    def batch(self, effect: RunBatch) -> BatchRecord:
        """Look up the batch that is to be run."""
        batches = self._scheduler.instances[effect.instance].batches
        if batches[-1].id == effect.batch:
            return batches[-1]
        return next(each for each in batches if each.id == effect.batch)  # one decision gave it two

    def run(self, effect: RunBatch, batch: BatchRecord, work: float) -> float:
        """Run a batch of so many times the work of one of its size on average; return when it begins."""
        now, instance, size = self._kernel.now, self._scheduler.instances[effect.instance], batch.size
        slots: tuple[Place, ...] = ()
        if self._cores is not None:
            self._settle(self._cores)
            slots = self._cores.take(instance)
        configuration = profiled(instance.configuration)
        run_s = self._service.draw(configuration, size, self._rng) * self._bias * work
        if self._slow:
            run_s *= self._slow.get(instance.unit, 1.0)
        there_s = back_s = self._hop_s
        if self._network is not None:
            there_s, back_s = self._network.seconds(instance.placement.node, configuration.stage, size)
        begin = max(now + there_s, self._busy_until.get(effect.instance, 0.0))
        if self._meter is not None:
            begin = max(begin, self._meter.begin(instance.unit, now))
        end = self._busy_until[effect.instance] = begin + run_s
        watts = self._dynamic.watts(configuration, size)
        due = end + back_s
        self._flights[effect.batch] = Flight(effect, instance, batch.calls, size, begin, run_s, watts, slots, due)
        self._kernel.at(due, BatchDone(batch=effect.batch, run_ms=run_s * 1e3))
        return begin

    def landed(self, batch: int) -> Flight | None:
        """Take a batch that has ended; None where its instance failed meanwhile, or where it has been held up."""
        flight = self._flights.get(batch)
        if flight is None:
            return None
        if self._cores is not None:
            self._settle(self._cores)
            if flight.due > self._kernel.now + JUST_S:
                self._kernel.at(flight.due, BatchDone(batch=batch, run_ms=1e3 * (flight.run_s + flight.held_s)))
                return None
            self._cores.give(flight.slots)
        return self._flights.pop(batch)

    def serve(self, cpu_s: float) -> None:
        """Let the server's own process be at work on a request."""
        assert self._cores is not None  # noqa: S101
        self._settle(self._cores)
        self._cores.serving, self._served_at = True, self._kernel.now + cpu_s
        self._kernel.at(self._served_at, Served())

    def served(self) -> bool:
        """Whether it is through with it; if it has been held up, it is to be asked again later."""
        assert self._cores is not None  # noqa: S101
        self._settle(self._cores)
        if self._served_at > self._kernel.now + JUST_S:
            self._kernel.at(self._served_at, Served())
            return False
        self._cores.serving = False
        return True

    def _settle(self, cores: Cores) -> None:
        """Let all that ran side by side end as much later as each has lost to the others by now."""
        now = self._kernel.now
        lost_s = cores.lost_s(now)
        if not lost_s:
            return
        self._served_at += lost_s
        for flight in self._flights.values():
            flight.due += lost_s
            if flight.begin < now:
                flight.held_s += lost_s
            else:  # it is behind another of its instance
                flight.begin += lost_s
        for name in {flight.instance.name for flight in self._flights.values()}:
            self._busy_until[name] += lost_s

    def spend(self, flight: Flight, ran_s: float, ended: str) -> float:
        """Count what a batch has drawn; return its joules, 0 where they are unknown."""
        if self._meter is not None:
            self._meter.end(flight.instance.unit, self._kernel.now)
        if self._occupancy is not None and ran_s > 0:
            self._occupancy.batch(flight, flight.begin + ran_s + flight.held_s, ended)
        if flight.watts is None:
            self._joules_known = False
            return 0.0
        joules = flight.watts * ran_s
        self._joules += joules
        return joules

    # --- lives

    def start(self, placement: Placement) -> None:
        """Start an instance: its device wakes, it loads."""
        now, meter = self._kernel.now, self._meter
        load_s, wake_s = self._lives.load_s(placement) if self._loads else 0.0, 0.0
        if meter is not None:
            if self._loads:
                wake_s = meter.wake_s(placement.unit, now)
                load_s = 0.0 if meter.keeps(placement, now) else load_s
            meter.start(placement, load_s)
        self._lives.start(placement, load_s, wake_s)

    def stop(self, instance: str) -> None:
        """Stop an instance."""
        self._lives.stop(instance)
        self._kernel.at(self._kernel.now, InstanceDown(instance=instance, reason="stopped"))

    def is_ready(self, event: InstanceReady) -> bool:
        """See `Lives.is_ready`."""
        return self._lives.is_ready(event)

    def fail(self, failure: Failure) -> list[tuple[Flight, float]] | None:
        """Take an instance down; return the batches that are lost, with their joules. None where it was down anyway."""
        self._lives.after(failure)
        instance, now = self._scheduler.instances.get(failure.instance), self._kernel.now
        if instance is None or instance.state not in _ALIVE:
            return None
        if self._cores is not None:
            self._settle(self._cores)
        lost = []
        for batch in instance.batches:
            flight = self._flights.pop(batch.id)
            if self._cores is not None:
                self._cores.give(flight.slots)
            lost.append(
                (flight, self.spend(flight, min(max(now - flight.begin - flight.held_s, 0.0), flight.run_s), "lost"))
            )
        self._busy_until.pop(instance.name, None)
        self._lives.fail(failure)
        return lost

    def fail_device(self, failure: DeviceFailure) -> list[Failure]:
        """Let nothing load on a device before its repair; return the failures of its instances."""
        self._lives.fail_device(failure)
        return [
            Failure(name, failure.at_s, failure.repair_s)
            for name, instance in self._scheduler.instances.items()
            if instance.unit == (failure.node, failure.device)
        ]

    def slow(self, slowdown: Slowdown) -> None:
        """Let a device take so many times as long as profiled from now on."""
        self._slow[slowdown.node, slowdown.device] = slowdown.factor

    # --- power

    def switch(self, unit: Unit, mode: str) -> None:
        """Bring a device into a power mode."""
        if self._meter is not None:
            self._meter.switch(unit, mode, self._kernel.now)

    def present(self, lost: Unit | None = None) -> None:
        """Tell the meter which instances there are, and which device lost its own by a failure."""
        if self._meter is not None:
            placements = [instance.placement for instance in self._scheduler.instances.values()]
            self._meter.present(placements, self._kernel.now, lost=lost)

    def total(self, front: Energy, wasted_joules: float) -> Joules:
        """All that was drawn; ``front`` is the server's own, on top of the batches'."""
        joules = Joules() if self._meter is None else self._meter.total(self._kernel.now)
        known = self._joules_known
        joules.dynamic = self._dynamic.energy(self._joules if known else None) + front
        joules.wasted = self._dynamic.energy(wasted_joules if known else None)
        return joules

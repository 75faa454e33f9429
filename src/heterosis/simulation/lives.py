"""The lives of simulated instances: loading, failing, being repaired."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heterosis.control.speeds import profiled
from heterosis.scheduling import Event, InstanceReady
from heterosis.scheduling.state import Unit
from heterosis.simulation.failures import DeviceFailure, Failure, RandomFailures, Slowdown
from heterosis.simulation.kernel import Kernel
from heterosis.simulation.workload import Arrival
from heterosis.terms import Configuration, OperatingPoint, Placement
from heterosis.terms.errors import UsageError


class Tick:
    """Time to ask what steers the run."""


class Served:
    """The server's own process may be through with the request that it is at."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A request comes to the scheduling core."""

    arrival: Arrival


Happening = Event | Failure | DeviceFailure | Slowdown | Tick | Served | Entered
"""What the kernel holds: events for the core, and what becomes some."""


class Lives:
    """Sets when instances become ready and when they fail next."""

    def __init__(
        self, kernel: Kernel[Happening], points: Iterable[OperatingPoint], random: RandomFailures | None
    ) -> None:
        """Take load and warm-up times from the operating points."""
        self._kernel = kernel
        self._random = random
        self._load_s: dict[Configuration, list[tuple[int, float]]] = {}
        for point in points:
            times = self._load_s.setdefault(point.configuration, [])
            times.append((point.batch, (point.load_ms + point.warm_up_ms) / 1e3))
        self._streams: dict[str, Iterator[tuple[float, float]]] = {}
        self._loading: dict[str, InstanceReady] = {}
        self._repaired_at: dict[str, float] = {}
        self._devices_repaired_at: dict[Unit, float] = {}

    def load_s(self, placement: Placement) -> float:
        """Time to load and warm up: the longest of the operating points with batches that the instance may get."""
        times = self._load_s.get(profiled(placement.configuration), [])
        return max((took for batch, took in times if batch <= placement.max_batch), default=0.0)

    def start(self, placement: Placement, load_s: float, wake_s: float = 0.0) -> None:
        """Let an instance be ready once its device is repaired and awake, and it has loaded for so long."""
        name, now = placement.instance, self._kernel.now
        event = self._loading[name] = InstanceReady(instance=name, load_ms=load_s * 1e3)
        unit = placement.unit
        begin = max(now, self._repaired_at.get(name, 0.0), self._devices_repaired_at.get(unit, 0.0))
        self._kernel.at(begin + wake_s + load_s, event)
        if self._random is not None and name not in self._streams:
            self._streams[name] = self._random.of(name)
            self._fail_after(name, now)

    def is_ready(self, event: InstanceReady) -> bool:
        """Whether this is the end of the last start of the instance; it may have failed or been stopped meanwhile."""
        if self._loading.get(event.instance) is not event:
            return False
        del self._loading[event.instance]
        return True

    def stop(self, instance: str) -> None:
        """Let an instance that loads never become ready."""
        self._loading.pop(instance, None)

    def fail(self, failure: Failure) -> None:
        """Take an instance down for repair, and draw when it fails next."""
        self.stop(failure.instance)
        self._repaired_at[failure.instance] = self._kernel.now + failure.repair_s

    def fail_device(self, failure: DeviceFailure) -> None:
        """Let nothing load on a device before its repair."""
        self._devices_repaired_at[failure.node, failure.device] = self._kernel.now + failure.repair_s

    def after(self, failure: Failure) -> None:
        """Draw the failure after one that was drawn, whether or not that hit anything."""
        if failure.instance in self._streams:
            self._fail_after(failure.instance, failure.at_s + failure.repair_s)

    def _fail_after(self, name: str, moment: float) -> None:
        lasts_s, repair_s = next(self._streams[name])
        self._kernel.at(moment + lasts_s, Failure(name, moment + lasts_s, repair_s))


def check_failures(failures: Iterable[Failure], instances: set[str]) -> None:
    """Raise UsageError where a failure is of an instance that no plan has."""
    if unknown := sorted({failure.instance for failure in failures} - instances):
        raise UsageError(
            f"no plan has instance {', '.join(unknown)}, which is to fail; there are: {', '.join(sorted(instances))}"
        )

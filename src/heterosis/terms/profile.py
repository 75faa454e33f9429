"""Profiles: what was measured of each configuration."""

import msgspec

from heterosis.terms.energy import UNKNOWN, Energy
from heterosis.terms.variant import Exclusion

DEFAULT_MODE = "default"


class Configuration(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """How a model can run somewhere: a variant, on a device type, in a power mode, with so many threads.

    ``threads`` 0 means whatever the engine takes by itself.
    """

    stage: str
    variant: str
    device_type: str
    power_mode: str = DEFAULT_MODE
    threads: int = 1


QUANTILES_AT = (0.0, 0.5, 0.95, 0.99, 1.0)


def quantiles(p50: float, p95: float, p99: float) -> tuple[float, ...]:
    """Return a whole distribution of these percentiles, at `QUANTILES_AT`, to be taken as linear between them.

    It starts as far below the median as the 95th percentile lies above it, at half the median at the least, and ends a
    tenth beyond the 99th percentile.
    """
    return (max(2 * p50 - p95, p50 / 2), p50, p95, p99, 1.1 * p99)


def drawn_mean(p50: float, p95: float, p99: float) -> float:
    """Return the mean of that distribution."""
    at, values = QUANTILES_AT, quantiles(p50, p95, p99)
    return sum((at[part + 1] - at[part]) * (values[part] + values[part + 1]) / 2 for part in range(len(at) - 1))


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Measured time of one batch, hooks of the stage included, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration at a batch size, as measured."""

    configuration: Configuration
    batch: int
    latency: Latency
    cpu_ms: float
    """CPU time of one batch, over all threads."""
    dynamic_energy: Energy = UNKNOWN
    """Energy of one batch above the device's idle power."""
    load_ms: float = 0.0
    """Time from the start of a process until its session is open."""
    warm_up_ms: float = 0.0
    """Time of the first batches, in which every shape is met once; not part of ``latency``."""
    memory_bytes: int = 0
    """Largest resident memory of the process that ran it."""
    samples: int = 0
    outliers: int = 0
    interval_ratio: float = 0.0
    """Half-width of the 95 % confidence interval of the median, as a share of the median."""
    waiting_ratio: float = 0.0
    """Share of the time in which it was ready to run while other processes had its core: more than a few per cent says
    that the machine was busy, and that the latencies are longer than on an idle one."""

    @property
    def throughput_per_s(self) -> float:
        """Items per second of one instance that always has a full batch."""
        return self.batch / self.latency.mean_ms * 1e3

    @property
    def energy_per_item(self) -> Energy:
        """Dynamic energy of one item."""
        return self.dynamic_energy * (1 / self.batch)


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes until a configuration has answered for the first time, in a process of its own."""

    configuration: Configuration
    start_ms: float
    """Until the process runs, with the libraries that every worker needs."""
    load_ms: float
    """Until the stage's own code and its session are loaded."""
    first_ms: float
    """The first item, which often takes longer than those after it."""
    cpu_ms: float
    """CPU time of all that, over all threads."""
    energy: Energy = UNKNOWN
    """Energy of all that above the device's idle power."""
    memory_bytes: int = 0
    """Resident memory after the first item."""
    starts: int = 1
    """How many starts these are the means of."""


class Interference(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer an instance takes while another runs beside it, each on slots of its own."""

    configuration: Configuration
    beside: Configuration
    factor: float
    """Median time of a batch beside the other, over that alone."""
    interval_ratio: float
    """Half-width of the factor's 95 % interval, as a share of it."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where points come from: what they hold for, and what a change to makes them stale."""

    machine: str
    measured_at: str
    device_types: tuple[str, ...]
    versions: dict[str, str] = {}
    digests: dict[str, str] = {}
    """Of each variant, by ``stage/variant``."""
    source: str = ""
    """Of published figures: who published them, where."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """All operating points of a pipeline's variants on the machine named, SynergAI's "configuration dictionary"."""

    pipeline: str
    machine: str
    measured_at: str
    versions: dict[str, str]
    points: tuple[OperatingPoint, ...]
    excluded: tuple[Exclusion, ...] = ()
    """What was not measured, or not to the end, with the reason."""
    cold_starts: tuple[ColdStart, ...] = ()
    interference: tuple[Interference, ...] = ()
    origins: tuple[Provenance, ...] = ()
    """Of several machines where profiles were merged; empty where it is not known."""
    stale: tuple[str, ...] = ()
    """What had been measured before, and had to be measured anew, with the reason."""

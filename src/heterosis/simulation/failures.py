"""Instances that fail and are repaired. A failure loses the running batch; the core then restarts the instance."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance goes down; after its repair it can load again. One that is down already is not hit."""

    instance: str
    at_s: float
    repair_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DeviceFailure:
    """All instances on a device go down, whichever those are by then; none loads there before its repair."""

    node: str
    device: str
    at_s: float
    repair_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Slowdown:
    """From a moment on, batches on a device take so many times as long as profiled (1: as profiled again)."""

    node: str
    device: str
    at_s: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFailures:
    """Every instance fails now and then: times between repair and failure, and of repair, are exponential.

    Each instance has a stream of its own, so that equal seeds hit it at the same times under any policy.
    """

    mtbf_s: float
    """Mean time between failures, from the end of a repair."""
    mttr_s: float
    """Mean time to repair."""
    seed: int = 0

    def of(self, instance: str) -> Iterator[tuple[float, float]]:
        """Give, for ever, how long an instance lasts and how long it is then repaired, in seconds."""
        rng = np.random.default_rng([self.seed, zlib.crc32(instance.encode())])
        while True:
            yield float(rng.exponential(self.mtbf_s)), float(rng.exponential(self.mttr_s))

"""What became of each request, in columns, cheaply enough for many millions of them."""

from array import array
from math import nan

import numpy as np
import numpy.typing as npt

from heterosis.scheduling import Refusal
from heterosis.simulation.workload import Arrival

ROUNDING_S = 1e-9
"""Sums of times in another order differ by less; an answer as late as this is in time."""
OPEN, ANSWERED = -1, 0
KINDS: tuple[Refusal, ...] = tuple(Refusal)
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Records:
    """One row for each request, in order of arrival; times in seconds."""

    __slots__ = ("_endings", "_kinds", "_latencies", "_limits", "_sizes", "_times", "_waits", "classes")

    def __init__(self) -> None:
        """Start without requests."""
        self.classes: dict[str, int] = {}
        """Every class that occurred, and its number."""
        self._times, self._limits = array("d"), array("d")
        self._latencies, self._waits = array("d"), array("d")
        self._sizes, self._kinds, self._endings = array("q"), array("q"), array("b")

    def arrived(self, arrival: Arrival, limit_s: float) -> None:
        """Take a request that has so long to be answered."""
        self._times.append(arrival.at)
        self._limits.append(limit_s)
        self._latencies.append(nan)
        self._waits.append(nan)
        self._sizes.append(arrival.size)
        kind = arrival.request_class
        number = self.classes.get(kind)
        if number is None:
            number = self.classes[kind] = len(self.classes)
        self._kinds.append(number)
        self._endings.append(OPEN)

    def answered(self, number: int, latency_s: float, wait_s: float) -> bool:
        """Take an answer; return whether it came in time."""
        self._latencies[number] = latency_s
        self._waits[number] = wait_s
        self._endings[number] = ANSWERED
        return latency_s <= self._limits[number] + ROUNDING_S

    def refused(self, number: int, kind: Refusal) -> None:
        """Take a request that was refused or given up."""
        self._endings[number] = KINDS.index(kind) + 1

    def __len__(self) -> int:
        """How many requests arrived."""
        return len(self._times)

    def __eq__(self, other: object) -> bool:
        """Whether the same became of the same requests."""
        return isinstance(other, Records) and all(
            bytes(getattr(self, name)) == bytes(getattr(other, name)) for name in self.__slots__ if name != "classes"
        )

    __hash__ = None  # type: ignore[assignment]  # it grows

    @property
    def arrivals(self) -> Floats:
        """When each request arrived."""
        return np.array(self._times)

    @property
    def limits(self) -> Floats:
        """How long each request could wait for its answer."""
        return np.array(self._limits)

    @property
    def latencies(self) -> Floats:
        """How long each request took; NaN where it was not answered."""
        return np.array(self._latencies)

    @property
    def waits(self) -> Floats:
        """How long the calls of each request waited for their batches to begin, summed; NaN where not answered."""
        return np.array(self._waits)

    @property
    def sizes(self) -> Integers:
        """Items of each request."""
        return np.array(self._sizes)

    @property
    def kinds(self) -> Integers:
        """The number of each request's class."""
        return np.array(self._kinds)

    @property
    def violated(self) -> npt.NDArray[np.bool_]:
        """Which requests were not answered in time by their own deadline, refused ones included."""
        return ~(self.latencies <= self.limits + ROUNDING_S)

    def refusals(self, which: npt.NDArray[np.bool_] | slice = slice(None)) -> dict[Refusal, int]:
        """Count the refusals of some requests, by default of all, by kind."""
        endings = np.array(self._endings)[which]
        counts = np.bincount(endings[endings > ANSWERED], minlength=len(KINDS) + 1)[1:]
        return dict(zip(KINDS, counts.tolist(), strict=True))

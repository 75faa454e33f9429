"""Two instances side by side, each on cores of its own: how much longer each takes than alone.

They share caches, memory and power, and the two threads of a core where slots are that. What one waits for the other on
the same core is no interference: instances that share slots take turns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations_with_replacement

from heterosis.profiling.bench import Bench, ProbeError
from heterosis.profiling.records import Records, Subject
from heterosis.profiling.sampling import Measurement
from heterosis.profiling.settings import Budget
from heterosis.terms import Configuration, Interference

SECONDS = 1.0


class Neighbours:
    """Measures pairs of configurations, and keeps what it measured in the store."""

    def __init__(
        self,
        records: Records,
        subject: Callable[[Configuration], Subject],
        start: Callable[[Configuration, Sequence[int]], Bench],
        cores: Sequence[int],
    ) -> None:
        """``start`` makes a process on some of the cores."""
        self._records = records
        self._subject = subject
        self._start = start
        self._cores = cores

    def measure(self, batches: Mapping[Configuration, int], budget: Budget) -> Iterator[Interference]:
        """Yield what each of two configurations takes beside the other, for every pair that fits the machine."""
        known = sorted(batches, key=lambda each: (each.stage, each.variant, each.threads))
        for one, other in combinations_with_replacement(known, 2):
            if not 0 < one.threads + other.threads <= len(self._cores) or one.power_mode != other.power_mode:
                continue
            subjects = self._subject(one), self._subject(other)
            found = self._records.interference(*subjects)
            if not found:
                if budget.over:
                    return
                try:
                    found = self._pair((one, batches[one]), (other, batches[other]))
                except ProbeError:
                    continue  # one of them stands among what is left out already
                self._records.save_interference(*subjects, found)
            yield from found

    def _pair(self, *pair: tuple[Configuration, int]) -> list[Interference]:
        (one, _), (other, _) = pair
        cores = self._cores[: one.threads], self._cores[one.threads :]
        with (
            self._start(one, cores[0]) as first,
            self._start(other, cores[1]) as second,
            ThreadPoolExecutor(2) as side_by_side,
        ):
            benches = first, second
            alone = [bench.measure(batch, SECONDS) for bench, (_, batch) in zip(benches, pair, strict=True)]
            asked = [
                side_by_side.submit(bench.measure, batch, SECONDS, whole=True)
                for bench, (_, batch) in zip(benches, pair, strict=True)
            ]
            together = [each.result() for each in asked]
        both = ((0, one, other), (1, other, one)) if one != other else ((0, one, other),)
        return [_factor(own, beside, alone[number], together[number]) for number, own, beside in both]


def _factor(own: Configuration, beside: Configuration, alone: Measurement, together: Measurement) -> Interference:
    return Interference(
        configuration=own,
        beside=beside,
        factor=together.latency.p50_ms / max(alone.latency.p50_ms, 1e-9),
        interval_ratio=(alone.interval_ratio**2 + together.interval_ratio**2) ** 0.5,
    )


MATERIAL = 1.05


def crowding(found: Sequence[Interference]) -> float:
    """By what factor latencies of instances that run side by side are longer, on average; 1 where it is immaterial.

    A pair whose interval reaches down to 1 counts for what it was measured as, no more and no less.
    """
    if not found:
        return 1.0
    mean = sum(each.factor for each in found) / len(found)
    return mean if mean >= MATERIAL else 1.0

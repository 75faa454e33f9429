"""A pipeline that yields: it counts, by a stage, and can be told where to fail."""

import time
from collections.abc import AsyncIterator

import heterosis as hs


class Step:
    """One more."""

    def run(self, number: int, nap_ms: int) -> int:
        """Take time; 13 is unlucky."""
        time.sleep(nap_ms / 1e3)
        if number == 13:
            raise ValueError("13 is unlucky")
        return number + 1


step = hs.stage(Step)


@hs.pipeline(slo=hs.Slo(latency_ms=10_000))
async def counting(start: int, count: int, nap_ms: int) -> AsyncIterator[int]:
    """Yield so many numbers."""
    for _ in range(count):
        start = await step(start, nap_ms)
        yield start


@counting.samples
def samples() -> list[hs.Sample]:
    """One request."""
    return [hs.Sample({"start": 1, "count": 2, "nap_ms": 0}, truth=[2, 3])]

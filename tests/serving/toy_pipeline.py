"""A pipeline without models, to serve in tests: it scales an array, sleeps, and can be told to fail."""

import time
from typing import Annotated, Any

import numpy as np

import heterosis as hs

Array = np.ndarray[Any, Any]


class Scale:
    """Multiply an array."""

    def run(self, values: Array, factor: int) -> Array:
        """Scale; 13 is unlucky."""
        if factor == 13:
            raise ValueError("13 is unlucky")
        return values * factor


class Nap:
    """Take time."""

    def run(self, nap_ms: int) -> int:
        """Sleep so long."""
        time.sleep(nap_ms / 1e3)
        return nap_ms


scale, nap = hs.stage(Scale), hs.stage(Nap)


@hs.pipeline(slo=hs.Slo(latency_ms=2000))
async def toy(values: Annotated[Array, hs.Tensor("float32", -1)], factor: int, nap_ms: int) -> list[float]:
    """Scale twice, side by side, then sleep."""
    left, right = await hs.gather(scale(values, factor), scale(values, factor))
    await nap(nap_ms)
    return [float(value) for value in left + right]


@toy.samples
def samples() -> list[hs.Sample]:
    """One request."""
    return [hs.Sample({"values": np.ones(3, np.float32), "factor": 2, "nap_ms": 1})]

"""The model as a pipeline of one stage."""

from typing import Annotated

import numpy as np
from engine import MODEL, SHAPE, WIDTH

import heterosis as hs


class Net:
    models = {"net": MODEL}

    def before(self, x):
        return x[0]

    def after(self, output, x):
        return output[np.newaxis]


stage = hs.stage(Net)


@hs.pipeline(slo=hs.Slo(latency_ms=2000))
async def net(
    x: Annotated[np.ndarray, hs.Tensor("float32", 1, *SHAPE)],
) -> Annotated[np.ndarray, hs.Tensor("float32", 1, WIDTH)]:
    return await stage(x)

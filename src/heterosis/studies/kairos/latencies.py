"""How long the models run on the machines: the artifact's own samples, or the lines fitted to them.

A run is the time to load the input plus the time to compute; of the 100 runs of each size the slowest, which meets a
cold cache, is left out.
"""

import tarfile
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from heterosis.studies.kairos.setting import SIZES, TYPES
from heterosis.terms import Latency
from heterosis.terms.errors import UsageError

ARCHIVE = Path("kairos") / "raw_latency_json.tar.gz"
Z95, Z99 = 1.6449, 2.3263
"""Quantiles of the normal distribution."""

FITTED: dict[str, tuple[tuple[float, float, float], ...]] = {
    "ncf": ((0.00180, 0.713, 0.040), (0.00572, 0.168, 0.032), (0.00635, 0.540, 0.043), (0.01300, 0.138, 0.225)),
    "rm2": ((0.25746, 3.699, 0.002), (0.38660, 2.597, 0.003), (0.40093, 3.905, 0.003), (0.88274, 2.827, 0.023)),
    "wnd": ((0.00704, 2.341, 0.015), (0.03177, 0.848, 0.017), (0.03689, 1.689, 0.025), (0.06178, 5.491, 0.233)),
    "mtwnd": ((0.01021, 3.503, 0.012), (0.04344, 0.923, 0.015), (0.05009, 1.809, 0.022), (0.07544, 8.644, 0.211)),
    "dien": ((0.01238, 6.562, 0.009), (0.07629, 0.525, 0.010), (0.08178, 0.843, 0.013), (0.12708, 7.675, 0.205)),
}
"""For each type of `TYPES`: milliseconds per item, milliseconds per query, and coefficient of variation of the runs.

Least squares over the means of the artifact's samples at all sizes; the variation is the mean over the sizes.
"""


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """How long one model runs on one machine type, by size."""

    latencies: dict[int, Latency]
    samples: dict[int, tuple[float, ...]] = {}
    """Measured run times in seconds, where there are any."""
    cv: float = 0.0
    """Coefficient of variation of the run times."""

    def mean_s(self) -> tuple[float, ...]:
        """Mean run time in seconds, at each of `SIZES`."""
        return tuple(self.latencies[size].mean_ms / 1e3 for size in SIZES)


@lru_cache(maxsize=16)
def runs_of(model: str, data: Path | None) -> dict[str, Runs]:
    """How long a model runs on each type: measured, where the folder of published data is given, else fitted."""
    if data is None:
        return {kind: _fitted(*FITTED[model][position]) for position, kind in enumerate(TYPES)}
    measured = _measured(data)
    return {kind: measured[model, kind] for kind in TYPES}


def _fitted(slope_ms: float, intercept_ms: float, cv: float) -> Runs:
    return Runs(latencies={size: latency_of(intercept_ms + slope_ms * size, cv) for size in SIZES}, cv=cv)


def latency_of(mean_ms: float, cv: float) -> Latency:
    """Lognormal run times of this mean and coefficient of variation."""
    sigma = float(np.sqrt(np.log1p(cv**2)))
    p50 = mean_ms * float(np.exp(-(sigma**2) / 2))
    p95, p99 = p50 * float(np.exp(Z95 * sigma)), p50 * float(np.exp(Z99 * sigma))
    return Latency(mean_ms=mean_ms, p50_ms=p50, p95_ms=p95, p99_ms=p99)


@lru_cache(maxsize=1)
def _measured(data: Path) -> dict[tuple[str, str], Runs]:
    """Read the archive: ``data/TYPE/MODEL_SIZE_1.json`` computes, ``data/logs_load/TYPE/…`` loads, in milliseconds."""
    path = data / ARCHIVE
    if not path.is_file():
        raise UsageError(f"there is no {path}: --data names the folder that holds {ARCHIVE}")
    parts: dict[tuple[str, str, int], list[NDArray[np.float64]]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None or not member.name.endswith(".json"):
                continue
            name = Path(member.name)
            model, items, _ = name.stem.rsplit("_", 2)
            values = np.array(msgspec.json.decode(content.read(), type=list[float]))
            parts.setdefault((model, name.parent.name, int(items)), []).append(values)
    found: dict[tuple[str, str], Runs] = {}
    for (model, kind, size), (one, other) in sorted(parts.items()):
        times = np.sort(one + other)[:-1]
        runs = found.setdefault((model, kind), Runs(latencies={}, samples={}))
        p50, p95, p99 = (float(value) for value in np.percentile(times, (50, 95, 99)))
        runs.latencies[size] = Latency(mean_ms=float(times.mean()), p50_ms=p50, p95_ms=p95, p99_ms=p99)
        runs.samples[size] = tuple((times / 1e3).tolist())
    return found

"""What can be said of repeated measurements."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from heterosis.terms import Latency

Sample = np.ndarray[tuple[int], np.dtype[np.float64]]

SMALLEST_SAMPLE = 6
"""The smallest sample whose extremes enclose the median with 95 % confidence: 1 - 2 * 0.5 ** 6 = 0.97."""

OUTLIER_SCORE = 3.5
MAD_OF_NORMAL = 0.6745


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of durations. ``interval_ratio`` is as in `OperatingPoint`."""

    latency: Latency
    samples: int
    outliers: int
    interval_ratio: float


def summarise(durations_ms: Sequence[float]) -> Summary:
    """Describe a sample. Outliers are counted, but stay in every figure.

    Quantiles are median-unbiased: type 8 of Hyndman and Fan, "Sample quantiles in statistical packages" (1996).
    """
    sample = np.sort(np.asarray(durations_ms, dtype=np.float64))
    p50, p95, p99 = np.quantile(sample, (0.5, 0.95, 0.99), method="median_unbiased")
    return Summary(
        latency=Latency(mean_ms=float(sample.mean()), p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99)),
        samples=len(sample),
        outliers=count_outliers(sample),
        interval_ratio=interval_ratio(sample),
    )


def interval_ratio(ordered: Sequence[float] | Sample) -> float:
    """Half-width of the 95 % confidence interval of the median of an ordered sample, as a share of the median."""
    low, high = median_interval(ordered)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return float((high - low) / 2 / median) if median > 0 else 0.0


def median_interval(ordered: Sequence[float] | Sample) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median of an ordered sample.

    It lies between two order statistics and supposes no distribution: Le Boudec, "Performance evaluation of computer
    and communication systems" (2010), theorem 2.1 with its ranks for large samples. Fewer than 6 values cannot give
    95 %; their whole range is returned.
    """
    count = len(ordered)
    low, high = 0, count - 1
    if count >= SMALLEST_SAMPLE:
        reach = 1.96 * math.sqrt(count) / 2
        low = max(0, math.floor(count / 2 - reach) - 1)
        high = min(count - 1, math.ceil(count / 2 + reach))
    return float(ordered[low]), float(ordered[high])


def count_outliers(sample: Sample) -> int:
    """Count the values whose modified z-score is beyond 3.5 (Iglewicz and Hoaglin, "How to detect outliers", 1993)."""
    distance = np.abs(sample - np.median(sample))
    deviation = np.median(distance)
    return int(np.count_nonzero(MAD_OF_NORMAL * distance > OUTLIER_SCORE * deviation)) if deviation > 0 else 0

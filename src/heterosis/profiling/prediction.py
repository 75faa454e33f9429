"""Predicts operating points of a stage that were not measured from those that were, and how far off that may be.

The logarithm of a figure (median time, CPU time, ratios of quantiles) is taken as a Gaussian process over
configurations and batch sizes (kriging: Rasmussen and Williams, "Gaussian processes for machine learning", 2006, ch.
2). Its mean is what one expects of any model: time in proportion to the batch, and Amdahl's law over threads. From that
a stage departs, an engine departs from its stage, and a variant from its engine, each less than the one before: a curve
that was measured tells of those that were not. Between measured batch sizes a figure follows a power of the size, piece
by piece, which is close to affine; beyond them it stays proportional.

How far a departure reaches is fixed: variances below, per doubling of the batch size or of the threads.
`heterosis profile --check` says how good predictions are on the machine at hand.
"""

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from heterosis.terms import Configuration, Energy, Latency, OperatingPoint

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

SERIAL = 0.3
"""Share of a batch's time that more threads do not shorten, before anything is known: Amdahl's law."""
THREADS_COST = 0.05
"""By how much CPU time grows with each doubling of the threads, before anything is known (logarithm)."""

LEVEL = 9.0
"""Nothing is known of a variant's own level before it is measured."""
BATCH = {"stage": 0.15**2, "engine": 0.1**2, "variant": 0.06**2}
THREADS = {"stage": 0.2**2, "engine": 0.15**2, "variant": 0.08**2}
BOTH = {"stage": 0.1**2, "engine": 0.05**2, "variant": 0.03**2}
"""Threads help large batches more, or less, than small ones."""
PLACE = {"stage": 1.0, "engine": 0.2**2, "variant": 0.15**2}
"""Another device type or power mode."""
NOISE = 0.02**2
"""Of any measurement, besides what its own interval says."""
RATIOS = 0.5
"""Ratios of quantiles depart by this share of what times do."""

SURE = 1.645
"""Standard deviations on one side of 95 %."""


class Spread(msgspec.Struct, frozen=True):
    """A prediction: a value, and the standard deviation of its logarithm."""

    value: float
    sd: float

    def at(self, deviations: float) -> float:
        """So many standard deviations off."""
        return self.value * math.exp(deviations * self.sd)


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration is expected to take at a batch size."""

    p50_ms: Spread
    cpu_ms: Spread
    mean: Spread
    """Over the median; so are the two quantiles."""
    p95: Spread
    p99: Spread

    @property
    def p95_ms(self) -> float:
        """95th percentile, in milliseconds."""
        return self.p50_ms.value * self.p95.value


class Predictor:
    """Knows measured points of one stage, and predicts others."""

    def __init__(self, known: Sequence[OperatingPoint]) -> None:
        """Take points of one stage, at least one."""
        self._known = list(known)
        self._at = [(point.configuration, point.batch) for point in known]
        widths = np.array([point.interval_ratio / 1.96 for point in known])
        self._noise = np.diag(NOISE + widths**2)
        self._p50 = self._process(lambda point: point.latency.p50_ms, _expected_ms, LEVEL, 1.0)
        self._cpu = self._process(lambda point: point.cpu_ms, _expected_cpu_ms, LEVEL, 1.0)
        self._ratios = [
            self._process(lambda point, name=name: _ratio(point, name), _none_expected, 0.02, RATIOS**2)  # type: ignore[misc]
            for name in ("mean_ms", "p95_ms", "p99_ms")
        ]

    def predict(self, configuration: Configuration, batch: int) -> Prediction:
        """Predict a configuration at a batch size."""
        at = configuration, batch
        mean, p95, p99 = (process(at) for process in self._ratios)
        return Prediction(p50_ms=self._p50(at), cpu_ms=self._cpu(at), mean=mean, p95=p95, p99=p99)

    def point(self, configuration: Configuration, batch: int, deviations: float = 0.0) -> OperatingPoint:
        """Predict an operating point, all its figures so many standard deviations off.

        It has no samples. What no process predicts (memory, load time, power) is that of the most alike measured one.
        """
        found = self.predict(configuration, batch)
        like = min(self._known, key=lambda point: _unlike(point, configuration, batch))
        p50_ms, cpu_ms = found.p50_ms.at(deviations), found.cpu_ms.at(deviations)
        p95 = max(1.0, found.p95.at(deviations))
        return msgspec.structs.replace(
            like,
            configuration=configuration,
            batch=batch,
            latency=Latency(
                mean_ms=p50_ms * found.mean.value,
                p50_ms=p50_ms,
                p95_ms=p50_ms * p95,
                p99_ms=p50_ms * max(p95, found.p99.at(deviations)),
            ),
            cpu_ms=cpu_ms,
            dynamic_energy=_scaled(like.dynamic_energy, cpu_ms / like.cpu_ms if like.cpu_ms else 1.0),
            samples=0,
            outliers=0,
            interval_ratio=1.96 * found.p50_ms.sd,
            waiting_ratio=0.0,
        )

    def _process(
        self,
        figure: Callable[[OperatingPoint], float],
        expected: Callable[[Configuration, int], float],
        level: float,
        scale: float,
    ) -> Callable[[tuple[Configuration, int]], Spread]:
        """Fit a process to the logarithm of a figure; return what predicts from it."""
        departures = np.array([math.log(max(figure(point), 1e-6)) for point in self._known])
        departures -= np.array([expected(*at) for at in self._at])
        centre = float(departures.mean())
        covariance = _covariance(self._at, self._at, level, scale) + self._noise
        weights = np.linalg.solve(covariance, departures - centre)

        def predict(at: tuple[Configuration, int]) -> Spread:
            beside = _covariance([at], self._at, level, scale)[0]
            own = _covariance([at], [at], level, scale)[0, 0]
            explained = float(beside @ np.linalg.solve(covariance, beside))
            value = expected(*at) + centre + float(beside @ weights)
            return Spread(math.exp(value), math.sqrt(max(own - explained, 0.0) + NOISE))

        return predict


def _expected_ms(configuration: Configuration, batch: int) -> float:
    return math.log(batch) + math.log(SERIAL + (1 - SERIAL) / max(configuration.threads, 1))


def _expected_cpu_ms(configuration: Configuration, batch: int) -> float:
    return math.log(batch) + THREADS_COST * math.log2(max(configuration.threads, 1))


def _none_expected(_configuration: Configuration, _batch: int) -> float:
    return 0.0


def _covariance(
    rows: Sequence[tuple[Configuration, int]], columns: Sequence[tuple[Configuration, int]], level: float, scale: float
) -> Matrix:
    """Covariance of the departures at two lists of places: it grows with all that both have in common."""

    def common(what: Callable[[Configuration], object]) -> Matrix:
        of_columns = [what(configuration) for configuration, _ in columns]
        return np.array([[what(row) == column for column in of_columns] for row, _ in rows], dtype=float)

    def doublings(what: Callable[[Configuration, int], int]) -> Matrix:
        return np.minimum.outer(
            np.log2([max(what(*at), 1) for at in rows]), np.log2([max(what(*at), 1) for at in columns])
        )

    alike = {
        "stage": np.ones((len(rows), len(columns))),
        "engine": common(lambda each: _engine(each.variant)),
        "variant": common(lambda each: each.variant),
    }
    batch, threads = doublings(lambda _, batch: batch), doublings(lambda each, _: each.threads)
    moved = common(lambda each: (each.device_type, each.power_mode))
    total = level * alike["variant"]
    for kind, same in alike.items():
        departed = BATCH[kind] * batch + THREADS[kind] * threads + BOTH[kind] * batch * threads + PLACE[kind] * moved
        total = total + scale * same * departed
    return total


def _engine(variant: str) -> str:
    """Return the engine in a variant's name, such as ``small/onnxruntime-int8``."""
    return variant.rpartition("/")[2].partition("-")[0]


def _ratio(point: OperatingPoint, name: str) -> float:
    value: float = getattr(point.latency, name)
    return value / max(point.latency.p50_ms, 1e-9)


def _unlike(point: OperatingPoint, configuration: Configuration, batch: int) -> tuple[bool, bool, bool, float]:
    """Sort key: how much a measured point differs from one that was not."""
    at = point.configuration
    return (
        at.variant != configuration.variant,
        (at.device_type, at.power_mode) != (configuration.device_type, configuration.power_mode),
        at.threads != configuration.threads,
        abs(math.log(point.batch / batch)),
    )


def _scaled(energy: Energy, factor: float) -> Energy:
    return energy * factor

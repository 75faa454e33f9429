"""Predicts operating points of a stage that were not measured from those that were, and how far off that may be.

The logarithm of a figure (median time, CPU time, ratios of quantiles) is taken as a Gaussian process over
configurations and batch sizes (kriging: Rasmussen and Williams, "Gaussian processes for machine learning", 2006, ch.
2). Its mean is what one expects of any model: time in proportion to the batch, and Amdahl's law over threads. From that
a stage departs; from the stage each model, each engine and each precision of an engine; and from all of these a
variant; each less than the one before: a curve that was measured tells of those that were not. Between measured batch
sizes a figure follows a power of the size, piece by piece, which is close to affine; beyond them it stays proportional.

How far a departure reaches is fixed: variances below, per doubling of the batch size or of the threads.
`heterosis profile --check` says how good predictions are on the machine at hand.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from heterosis.terms import Configuration, Latency, OperatingPoint

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Place = tuple[Configuration, int]
"""A configuration at a batch size."""
Expected = Callable[[Configuration, int], float]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

SERIAL = 0.3
"""Share of a batch's time that more threads do not shorten, before anything is known: Amdahl's law."""
THREADS_COST = 0.05
"""By how much CPU time grows with each doubling of the threads, before anything is known (logarithm)."""

LEVEL = 9.0
"""Nothing is known of a variant's own level before it is measured."""
BATCH = {"stage": 0.3**2, "engine": 0.1**2, "model": 0.05**2, "precision": 0.05**2, "variant": 0.06**2}
THREADS = {"stage": 0.2**2, "engine": 0.15**2, "model": 0.08**2, "precision": 0.1**2, "variant": 0.08**2}
BOTH = {"stage": 0.1**2, "engine": 0.05**2, "model": 0.03**2, "precision": 0.03**2, "variant": 0.03**2}
"""Threads help large batches more, or less, than small ones."""
PLACE = {"stage": 1.0, "engine": 0.2**2, "model": 0.1**2, "precision": 0.1**2, "variant": 0.15**2}
"""Another device type or power mode."""
NOISE = 0.02**2
"""Of any measurement, besides what its own interval says."""
LEVEL_OF_RATIOS = 0.02
RATIOS = 0.5
"""Ratios of quantiles depart by this share of what times do."""

LEAST_MS = 1e-6

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
        at = [(point.configuration, point.batch) for point in known]
        noise = np.diag([NOISE + (point.interval_ratio / 1.96) ** 2 for point in known])
        self._times, self._ratios = _Process(at, LEVEL, 1.0, noise), _Process(at, LEVEL_OF_RATIOS, RATIOS**2, noise)
        self._p50 = self._times.fit([math.log(max(point.latency.p50_ms, LEAST_MS)) for point in known], _expected_ms)
        self._cpu = self._times.fit([math.log(max(point.cpu_ms, LEAST_MS)) for point in known], _expected_cpu_ms)
        self._over_p50 = [
            self._ratios.fit([math.log(max(_ratio(point, name), LEAST_MS)) for point in known])
            for name in ("mean_ms", "p95_ms", "p99_ms")
        ]

    def predict(self, configuration: Configuration, batch: int) -> Prediction:
        """Predict a configuration at a batch size."""
        return self.predict_all([(configuration, batch)])[0]

    def predict_all(self, places: Sequence[Place]) -> list[Prediction]:
        """Predict many configurations at batch sizes."""
        if not places:
            return []
        times, ratios = self._times.at(places), self._ratios.at(places)
        return [
            Prediction(p50_ms=p50_ms, cpu_ms=cpu_ms, mean=mean, p95=p95, p99=p99)
            for p50_ms, cpu_ms, mean, p95, p99 in zip(
                times(self._p50), times(self._cpu), *map(ratios, self._over_p50), strict=True
            )
        ]

    def points(self, places: Sequence[Place], deviations: float = 0.0) -> list[OperatingPoint]:
        """Predict operating points, all their figures so many standard deviations off.

        They have no samples. What no process predicts (memory, load time, power) is that of the measured one most like
        it.
        """
        return [
            self._point(configuration, batch, found, deviations)
            for (configuration, batch), found in zip(places, self.predict_all(places), strict=True)
        ]

    def _point(self, configuration: Configuration, batch: int, found: Prediction, deviations: float) -> OperatingPoint:
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
            dynamic_energy=like.dynamic_energy * (cpu_ms / max(like.cpu_ms, LEAST_MS)),
            samples=0,
            outliers=0,
            interval_ratio=1.96 * found.p50_ms.sd,
            waiting_ratio=0.0,
        )


class _Process:
    """A Gaussian process over places, for any figure that departs from what is expected of it as this one does."""

    def __init__(self, known: Sequence[Place], level: float, scale: float, noise: Matrix) -> None:
        self._known, self._level, self._scale = known, level, scale
        self._inverse = np.linalg.inv(_covariance(known, known, level, scale) + noise)

    def fit(self, logarithms: Sequence[float], expected: Expected = lambda _configuration, _batch: 0.0) -> "_Fit":
        """Fit the logarithms of a figure."""
        departures = np.array(logarithms) - [expected(*place) for place in self._known]
        centre = float(departures.mean())
        return _Fit(expected, centre, self._inverse @ (departures - centre))

    def at(self, places: Sequence[Place]) -> Callable[["_Fit"], list[Spread]]:
        """Return what predicts figures that were fitted, at other places."""
        beside = _covariance(places, self._known, self._level, self._scale)
        own = np.array([_covariance([place], [place], self._level, self._scale)[0, 0] for place in places])
        explained = np.einsum("ij,jk,ik->i", beside, self._inverse, beside)
        deviations = np.sqrt(np.maximum(own - explained, 0.0) + NOISE)

        def predict(fit: _Fit) -> list[Spread]:
            departures = fit.centre + beside @ fit.weights
            return [
                Spread(math.exp(fit.expected(*place) + departure), sd)
                for place, departure, sd in zip(places, departures.tolist(), deviations.tolist(), strict=True)
            ]

        return predict


class _Fit(NamedTuple):
    """One figure: what is expected of it, and how it departs from that."""

    expected: Expected
    centre: float
    weights: Vector


def _expected_ms(configuration: Configuration, batch: int) -> float:
    return math.log(batch) + math.log(SERIAL + (1 - SERIAL) / max(configuration.threads, 1))


def _expected_cpu_ms(configuration: Configuration, batch: int) -> float:
    return math.log(batch) + THREADS_COST * math.log2(max(configuration.threads, 1))


def _covariance(rows: Sequence[Place], columns: Sequence[Place], level: float, scale: float) -> Matrix:
    """Covariance of the departures at two lists of places: it grows with all that both have in common."""

    def common(what: Callable[[Configuration], Any]) -> Matrix:
        of_rows = np.array([what(configuration) for configuration, _ in rows])
        of_columns = np.array([what(configuration) for configuration, _ in columns])
        return np.asarray(of_rows[:, None] == of_columns, dtype=float)

    def doublings(what: Callable[[Configuration, int], int]) -> Matrix:
        of_rows = np.log2([max(what(*place), 1) for place in rows])
        return np.minimum.outer(of_rows, np.log2([max(what(*place), 1) for place in columns]))

    alike = {
        "stage": np.ones((len(rows), len(columns))),
        "engine": common(lambda each: _kind(each.variant).partition("-")[0]),
        "model": common(lambda each: each.variant.partition("/")[0]),
        "precision": common(lambda each: _kind(each.variant)),
        "variant": common(lambda each: each.variant),
    }
    batch, threads = doublings(lambda _, batch: batch), doublings(lambda each, _: each.threads)
    moved = common(lambda each: f"{each.device_type} in {each.power_mode}")
    total = level * alike["variant"]
    for kind, same in alike.items():
        departed = BATCH[kind] * batch + THREADS[kind] * threads + BOTH[kind] * batch * threads + PLACE[kind] * moved
        total = total + scale * same * departed
    return total


def _kind(variant: str) -> str:
    """Return the engine and the precision in a variant's name, such as ``small/onnxruntime-int8``."""
    return variant.rpartition("/")[2]


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

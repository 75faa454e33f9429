"""Rows of the study's table."""

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec

from heterosis.planning.fleet import (
    Allotment,
    Task,
    accuracy,
    power_w,
    price_per_hour,
)
from heterosis.simulation import interval
from heterosis.studies.loki.published import CLASSIFIERS, DETECTORS, Published
from heterosis.studies.loki.setting import ACTIVE_W, FLEET, PIPELINE, SLO_MS, make_task
from heterosis.studies.loki.trial import Run


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One planner in one part of the study. Shares are 0..1; what is None was not simulated, or is unknown.

    The parts are ``planned`` (by the planners' own figures), ``load`` (near what Loki claims), ``carried`` (the largest
    that holds), ``off-peak`` and ``day``.
    """

    part: str
    planner: str
    pipeline: str
    fleet: str
    load: float
    """Frames per second, the mean over time; of ``carried``, over the runs."""
    load_low: float | None = None
    load_high: float | None = None
    """Of ``carried``, the 95 % Student t interval over the runs."""
    over_loki: float | None = None
    over_loki_low: float | None = None
    over_loki_high: float | None = None
    """The load over Loki's in the same run: the mean, and its interval."""
    attainment: float | None = None
    violations_low: float | None = None
    violations_high: float | None = None
    """Of the violations (1 - attainment), the 95 % Student t interval over the runs."""
    accuracy: float
    """By Loki's measure."""
    recall_accuracy: float
    """The share of the cars that are found and told right."""
    joules_per_request: float
    """Of each answered frame; modelled, idle power included."""
    lower_bound_joules: float
    """What no plan of this accuracy (Loki's measure) stays below: see `bound_j`."""
    devices: float
    price_per_hour: float | None
    solve_s: float
    """To plan, the mean where it was done several times. Differs from machine to machine."""
    runs: int = 0


def planned(
    published: Published, planner: str, task: Task, found: Allotment, solve_s: float, *, cars: float | None = None
) -> Row:
    """What an answer is by the planner's own figures."""
    watts, rate = power_w(task, found), task.workloads[0].rate_rps
    assert watts is not None  # noqa: S101 - the setting has all figures
    reached, recalled = (
        accuracy(make_task(published, rate, cars=cars, recall=recall).workloads[0], found) or 0.0
        for recall in (False, True)
    )
    return Row(
        part="planned",
        planner=planner,
        pipeline=PIPELINE if cars is None else f"{PIPELINE}, {cars:.3g} cars a frame",
        fleet=FLEET,
        load=rate,
        accuracy=reached,
        recall_accuracy=recalled,
        joules_per_request=watts / rate,
        lower_bound_joules=bound_j(published, reached - 1e-4, cars),
        devices=sum(found.devices().values()),
        price_per_hour=price_per_hour(task, found),
        solve_s=solve_s,
    )


def simulated(published: Published, part: str, planner: str, load: float, runs: Sequence[Run], solve_s: float) -> Row:
    """What came of runs."""
    violations = interval([1 - run.attainment for run in runs])
    reached = fmean(run.accuracy for run in runs)
    return Row(
        part=part,
        planner=planner,
        pipeline=PIPELINE,
        fleet=FLEET,
        load=load,
        attainment=1 - violations.mean,
        violations_low=violations.low,
        violations_high=violations.high,
        accuracy=reached,
        recall_accuracy=fmean(run.recall_accuracy for run in runs),
        joules_per_request=fmean(run.joules_per_request for run in runs),
        lower_bound_joules=bound_j(published, reached - 1e-4),
        devices=fmean(run.devices for run in runs),
        price_per_hour=None,
        solve_s=solve_s,
        runs=len(runs),
    )


def bound_j(published: Published, reached: float, cars: float | None = None) -> float:
    """Joules of a frame that no plan of this accuracy (Loki's measure) stays below.

    For one who knows what comes: servers can be divided and are never idle, batches are as large as two of them one
    after the other fit the SLO, and nobody waits. Of every mix of models as accurate, the least.
    """
    columns = [_column(published, detector, classifier, cars) for detector in DETECTORS for classifier in CLASSIFIERS]
    able = [joules for accuracy, joules in columns if accuracy >= reached]
    for high, more in columns:
        for low, less in columns:
            if low < reached < high:
                able.append(less + (more - less) * (reached - low) / (high - low))
    return min(able, default=math.inf)


def _column(published: Published, detector: str, classifier: str, cars: float | None) -> tuple[float, float]:
    """Accuracy and joules of a frame with these models, at the best pair of batch sizes."""
    seconds = min(
        first.mean_ms / batch / 1e3 + (cars or published.cars[detector]) * then.mean_ms / size / 1e3
        for batch, first in published.times[detector].items()
        for size, then in published.times[classifier].items()
        if first.mean_ms + then.mean_ms <= SLO_MS
    )
    return DETECTORS[detector] * CLASSIFIERS[classifier], ACTIVE_W * seconds

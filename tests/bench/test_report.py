"""The account of a load, against figures worked out by hand."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.bench.load import Outcome
from heterosis.bench.metrics import Readings
from heterosis.bench.report import Report, make_report, wilson
from heterosis.terms import UNKNOWN, Energy, Quality, Slo
from heterosis.terms.errors import UsageError

SLO = Slo(latency_ms=100, percentile=90)


def answered(scheduled_s: float, latency_ms: float, lag_ms: float = 0.0) -> Outcome:
    """A request that got its answer."""
    return Outcome(
        sample=0,
        scheduled_s=scheduled_s,
        sent_s=scheduled_s + lag_ms / 1e3,
        done_s=scheduled_s + latency_ms / 1e3,
        status=200,
        outputs={"output": np.zeros(1)},
    )


def failed(scheduled_s: float, status: int, error: str) -> Outcome:
    """A request that got an error."""
    return Outcome(
        sample=0, scheduled_s=scheduled_s, sent_s=scheduled_s, done_s=scheduled_s, status=status, error=error
    )


def test_figures() -> None:
    """Shares are of all requests offered, latencies of those answered, excess of those late."""
    outcomes = [
        *(answered(position, 50) for position in range(6)),
        answered(6, 300),
        answered(7, 200),
        failed(8, 429, "too busy"),
        failed(9, 429, "still too busy"),
        failed(9, 0, "gone"),
        answered(9.5, 80),
    ]
    report = make_report(outcomes, SLO, 10.0, accuracy=0.5, judged=4)
    assert (report.requests, report.answered, report.in_time, report.elapsed_s) == (12, 9, 7, 10.0)
    assert (report.offered_rps, report.answered_rps, report.goodput_rps) == pytest.approx((1.2, 0.9, 0.7))
    assert report.attainment == pytest.approx(7 / 12)
    assert not report.met
    assert report.latency is not None
    assert report.latency.mean_ms == pytest.approx((6 * 50 + 300 + 200 + 80) / 9)
    assert (report.latency.p50_ms, report.latency.max_ms) == pytest.approx((50, 300))
    assert report.excess_ms == pytest.approx(150)
    assert [(failure.status, failure.count, failure.example) for failure in report.failures] == [
        (0, 1, "gone"),
        (429, 2, "too busy"),
    ]
    assert (report.accuracy, report.judged) == (0.5, 4)


def test_an_answer_after_the_load_counts_its_time() -> None:
    """Rates are over the time until the last answer, so that a backlog cannot hide in a short load."""
    report = make_report([answered(0, 50), answered(0.9, 4100)], SLO, 1.0)
    assert report.elapsed_s == pytest.approx(5.0)
    assert report.answered_rps == pytest.approx(0.4)


def test_cost_per_answer() -> None:
    """Joules and CPU time are shared among the answers, idle and dynamic apart, with their quality."""
    spent = Readings(idle=Energy(30.0, Quality.MODELLED), dynamic=Energy(12.0, Quality.COUNTER), cpu_s=3.0)
    report = make_report([answered(0, 50), answered(0, 50), failed(0, 500, "x")], SLO, 1.0, spent=spent)
    assert report.idle_energy_per_answer == Energy(15.0, Quality.MODELLED)
    assert report.dynamic_energy_per_answer == Energy(6.0, Quality.COUNTER)
    assert report.cpu_s_per_answer == 1.5


def test_unknown_cost_stays_unknown() -> None:
    """Without readings, or without answers, cost is unknown and not zero."""
    for report in (
        make_report([answered(0, 50)], SLO, 1.0),
        make_report([failed(0, 500, "x")], SLO, 1.0, spent=Readings(idle=Energy(1.0, Quality.MODELLED), cpu_s=1.0)),
    ):
        assert report.idle_energy_per_answer == UNKNOWN
        assert report.cpu_s_per_answer is None


def test_everything_failed() -> None:
    """A load without one answer has no latency, and JSON without NaN."""
    report = make_report([failed(0, 503, "no")], SLO, 1.0)
    assert (report.latency, report.excess_ms, report.attainment, report.met) == (None, None, 0.0, False)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_empty_load() -> None:
    """A load without requests is a mistake, not a success."""
    with pytest.raises(UsageError, match="no requests"):
        make_report([], SLO, 1.0)


@pytest.mark.parametrize(("accuracy", "met"), [(0.96, True), (0.94, False), (None, False)])
def test_met_needs_the_accuracy(accuracy: float | None, met: bool) -> None:  # noqa: FBT001
    """An SLO with a least accuracy is met only by answers that are known to have it."""
    slo = Slo(latency_ms=100, percentile=50, min_accuracy=0.95)
    report = make_report([answered(0, 50)] * 3, slo, 1.0, accuracy=accuracy)
    assert report.met is met
    assert any("min_accuracy" in warning for warning in report.warnings) == (accuracy is None)


def test_warnings() -> None:
    """A late or busy generator, and too few requests, are said; a sound load has no warnings."""
    sound = make_report([answered(position, 50, lag_ms=1) for position in range(20)], SLO, 20.0, client_cpu_s=2.0)
    assert sound.warnings == ()
    spoilt = make_report([answered(position, 50, lag_ms=30) for position in range(5)], SLO, 5.0, client_cpu_s=4.5)
    assert [word for word, said in zip(("late", "core", "at least 10"), spoilt.warnings, strict=True) if word in said]
    assert (spoilt.lag_p50_ms, spoilt.lag_p99_ms) == pytest.approx((30, 30))


def test_wilson_against_the_literature() -> None:
    """R. G. Newcombe (1998), table I, method 3: 81 of 263 and 15 of 148."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    """The interval lies in 0..1, holds the share, and is not a point even at 0 or 1."""
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1
    assert high > low
    assert not math.isnan(low)

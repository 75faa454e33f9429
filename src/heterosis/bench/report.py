"""The account of a load: who was answered in time, how late the rest were, and what it cost."""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from heterosis.bench.load import Outcome
from heterosis.bench.metrics import Readings
from heterosis.terms import UNKNOWN, Energy, Slo
from heterosis.terms.errors import UsageError

NORMAL_97_5 = 1.959964
"""The quantile of the normal distribution that leaves 95 % between itself and its negative."""
LAG_SHARE = 0.05
"""A generator that is later than this share of the SLO, for one request in a hundred, has spoilt the figures."""
BUSY_SHARE = 0.8


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of the requests that were answered, from their scheduled arrivals, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that ended with one status (0: no answer at all), and the message of one of them."""

    status: int
    count: int
    example: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a load went. ``attainment`` is the share of all offered requests that were answered in time."""

    slo: Slo
    requests: int
    answered: int
    in_time: int
    elapsed_s: float
    """From the start of the load to its end or the last answer, whichever is later."""
    offered_rps: float
    answered_rps: float
    goodput_rps: float
    attainment: float
    attainment_interval: tuple[float, float]
    """Wilson's 95 % interval."""
    met: bool
    """Whether attainment and accuracy are what the SLO asks for; an unknown accuracy is not."""
    latency: Latency | None
    excess_ms: float | None
    """Mean time past the SLO of the answers that were late; None where none was."""
    failures: tuple[Failures, ...]
    accuracy: float | None
    judged: int
    """Answers to samples whose truth is known."""
    idle_energy_per_answer: Energy = UNKNOWN
    dynamic_energy_per_answer: Energy = UNKNOWN
    cpu_s_per_answer: float | None = None
    lag_p50_ms: float
    lag_p99_ms: float
    """How late the load generator itself was."""
    warnings: tuple[str, ...] = ()


def make_report(
    outcomes: Sequence[Outcome],
    slo: Slo,
    duration_s: float,
    *,
    accuracy: float | None = None,
    judged: int = 0,
    spent: Readings | None = None,
    client_cpu_s: float | None = None,
) -> Report:
    """Account for a load of ``duration_s`` seconds; ``spent`` is what the server used up from its start to its end."""
    if not outcomes:
        raise UsageError(f"the load had no requests in its {duration_s:g} s: raise its rate or its duration")
    spent = spent or Readings()
    answered = [outcome for outcome in outcomes if outcome.answered]
    latencies = np.array([outcome.latency_ms for outcome in answered])
    late = latencies[latencies > slo.latency_ms]
    in_time = len(answered) - len(late)
    requests = len(outcomes)
    elapsed_s = max([duration_s, *(outcome.done_s for outcome in outcomes)])
    attainment = in_time / requests
    lag_p50_ms, lag_p99_ms = np.percentile([outcome.lag_ms for outcome in outcomes], [50, 99]).tolist()
    accurate = slo.min_accuracy is None or (accuracy is not None and accuracy >= slo.min_accuracy)
    per_answer = 1 / len(answered) if answered else None
    return Report(
        slo=slo,
        requests=requests,
        answered=len(answered),
        in_time=in_time,
        elapsed_s=elapsed_s,
        offered_rps=requests / duration_s,
        answered_rps=len(answered) / elapsed_s,
        goodput_rps=in_time / elapsed_s,
        attainment=attainment,
        attainment_interval=wilson(in_time, requests),
        met=attainment >= slo.percentile / 100 and accurate,
        latency=_latency(latencies) if answered else None,
        excess_ms=float((late - slo.latency_ms).mean()) if len(late) else None,
        failures=_failures(outcomes),
        accuracy=accuracy,
        judged=judged,
        idle_energy_per_answer=spent.idle * per_answer if per_answer else UNKNOWN,
        dynamic_energy_per_answer=spent.dynamic * per_answer if per_answer else UNKNOWN,
        cpu_s_per_answer=spent.cpu_s * per_answer if spent.cpu_s is not None and per_answer else None,
        lag_p50_ms=lag_p50_ms,
        lag_p99_ms=lag_p99_ms,
        warnings=tuple(_warnings(slo, requests, accuracy, lag_p99_ms, (client_cpu_s or 0.0) / elapsed_s)),
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, 1927); it stays honest near 0 and 1, and for few trials."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, NORMAL_97_5**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NORMAL_97_5 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _latency(latencies: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Latency:
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    return Latency(
        mean_ms=float(latencies.mean()),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        max_ms=float(latencies.max()),
    )


def _failures(outcomes: Sequence[Outcome]) -> tuple[Failures, ...]:
    failed = [outcome for outcome in outcomes if not outcome.answered]
    examples = {outcome.status: outcome.error for outcome in reversed(failed)}
    counts = Counter(outcome.status for outcome in failed)
    return tuple(
        Failures(status=status, count=count, example=examples[status]) for status, count in sorted(counts.items())
    )


def _warnings(slo: Slo, requests: int, accuracy: float | None, lag_p99_ms: float, busy: float) -> list[str]:
    found = []
    if lag_p99_ms > LAG_SHARE * slo.latency_ms:
        found.append(
            f"the load generator itself was {lag_p99_ms:.1f} ms late for one request in a hundred, which counts as "
            "latency here: run it on another machine, or lower the rate"
        )
    if busy > BUSY_SHARE:
        found.append(f"the load generator used {busy:.0%} of a core: its own delays are in the figures")
    if slo.min_accuracy is not None and accuracy is None:
        found.append("no answer came that could be judged, so the SLO's min_accuracy is not shown to hold")
    needed = math.ceil(100 / (100 - slo.percentile))
    if requests < needed:
        found.append(f"{requests} requests cannot show the {slo.percentile:g}th percentile; send at least {needed}")
    return found

"""Two settings under the same load, side by side."""

import msgspec

from heterosis.bench.report import Report
from heterosis.terms import Quality


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One setting's figures. Joules are idle and dynamic together, per answered request; None where unknown."""

    rate_rps: float
    requests: int
    attainment: float
    attainment_interval: tuple[float, float]
    goodput_rps: float
    p50_ms: float | None
    p99_ms: float | None
    joules_per_request: float | None
    joules_quality: Quality
    dynamic_joules_per_request: float | None
    cpu_ms_per_request: float | None
    accuracy: float | None
    plan: dict[str, str]
    """What ran, stage by stage."""

    @classmethod
    def of(cls, report: Report, plan: dict[str, str]) -> "Side":
        """Take the figures of a load's report."""
        total = report.idle_energy_per_answer + report.dynamic_energy_per_answer
        return cls(
            rate_rps=report.offered_rps,
            requests=report.requests,
            attainment=report.attainment,
            attainment_interval=report.attainment_interval,
            goodput_rps=report.goodput_rps,
            p50_ms=report.latency.p50_ms if report.latency else None,
            p99_ms=report.latency.p99_ms if report.latency else None,
            joules_per_request=total.joules,
            joules_quality=total.quality,
            dynamic_joules_per_request=report.dynamic_energy_per_answer.joules,
            cpu_ms_per_request=None if report.cpu_s_per_answer is None else report.cpu_s_per_answer * 1e3,
            accuracy=report.accuracy,
            plan=plan,
        )

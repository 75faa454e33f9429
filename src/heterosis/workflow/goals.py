"""What is asked for: the pipeline's own SLO, or what the user says instead."""

from collections.abc import Mapping

from heterosis.terms import Slo
from heterosis.terms.errors import UsageError


def goal(
    slo: Slo,
    *,
    latency_ms: float | None = None,
    min_accuracy: float | None = None,
    class_accuracy: Mapping[str, float] | None = None,
) -> Slo:
    """Replace parts of an SLO. Raise UsageError for values that no system could meet."""
    try:
        return Slo(
            latency_ms=slo.latency_ms if latency_ms is None else latency_ms,
            percentile=slo.percentile,
            min_accuracy=slo.min_accuracy if min_accuracy is None else min_accuracy,
            class_accuracy=slo.class_accuracy if class_accuracy is None else class_accuracy,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None

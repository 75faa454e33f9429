"""SLOs, as asked for."""

import pytest

from heterosis.terms import Slo
from heterosis.terms.errors import UsageError
from heterosis.workflow.goals import goal

OWN = Slo(latency_ms=100, percentile=95, min_accuracy=0.9)


def test_parts_are_replaced() -> None:
    """What is not asked for stays the pipeline's own."""
    assert goal(OWN) == OWN
    assert goal(OWN, latency_ms=50) == Slo(latency_ms=50, percentile=95, min_accuracy=0.9)
    assert goal(OWN, min_accuracy=0.0) == Slo(latency_ms=100, percentile=95, min_accuracy=0.0)


@pytest.mark.parametrize(("latency_ms", "min_accuracy"), [(0, None), (-1, None), (None, 1.5), (float("nan"), None)])
def test_what_no_system_could_meet(latency_ms: float | None, min_accuracy: float | None) -> None:
    """Nonsense is the user's mistake, named."""
    with pytest.raises(UsageError, match=r"Slo\."):
        goal(OWN, latency_ms=latency_ms, min_accuracy=min_accuracy)

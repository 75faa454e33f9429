"""An SLO that no system could meet is refused when it is made."""

from typing import Any

import pytest

from heterosis.terms import Slo


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"latency_ms": 0}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"latency_ms": 1, "percentile": 100}, "percentile"),
        ({"latency_ms": 1, "min_accuracy": 1.5}, "min_accuracy"),
        ({"latency_ms": 1, "class_accuracy": {"gold": 1.5}}, "class_accuracy of 'gold'"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: dict[str, Any], field: str) -> None:
    """The message names the field and the value."""
    with pytest.raises(ValueError, match=f"Slo.{field}"):
        Slo(**arguments)


def test_served_alike_all_have_the_highest_floor() -> None:
    """Lower floors of classes change nothing then."""
    slo = Slo(latency_ms=1, min_accuracy=0.9, class_accuracy={"gold": 0.95, "bronze": 0.8})
    assert slo.alike == Slo(latency_ms=1, min_accuracy=0.95)
    assert Slo(latency_ms=1).alike == Slo(latency_ms=1)

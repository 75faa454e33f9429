"""An SLO that no system could meet is refused when it is made."""

import pytest

from heterosis.terms import Slo


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"latency_ms": 0}, "latency_ms"),
        ({"latency_ms": float("nan")}, "latency_ms"),
        ({"latency_ms": 1, "percentile": 100}, "percentile"),
        ({"latency_ms": 1, "min_accuracy": 1.5}, "min_accuracy"),
    ],
)
def test_nonsense_is_refused_by_name(arguments: dict[str, float], field: str) -> None:
    """The message names the field and the value."""
    with pytest.raises(ValueError, match=f"Slo.{field}"):
        Slo(**arguments)

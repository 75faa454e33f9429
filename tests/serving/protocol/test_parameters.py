"""Timeouts and priorities on a request."""

from typing import Any

import pytest

from heterosis.serving.protocol.parameters import priority, relative_timeout_ms
from heterosis.terms.errors import InvalidInputError


@pytest.mark.parametrize(
    ("parameters", "header", "expected"),
    [
        ({}, None, None),
        ({"timeout": 0}, None, None),
        ({"timeout": 2500}, None, 2.5),
        ({"timeout_ms": 40}, None, 40.0),
        ({}, " 12.5 ", 12.5),
        ({"timeout": 2500, "timeout_ms": 40}, "30", 2.5),
        ({"timeout": 2_500_000, "timeout_ms": 40}, "30", 30.0),
    ],
)
def test_timeouts(parameters: dict[str, Any], header: str | None, expected: float | None) -> None:
    """Microseconds, milliseconds and the header mean the same; the shortest counts."""
    assert relative_timeout_ms(parameters, header) == expected


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True, 10**400, 1e9])
def test_nonsense_timeouts(value: Any) -> None:
    """What is no positive length of time up to a day is refused, naming the parameter."""
    with pytest.raises(InvalidInputError, match=r"'timeout_ms' is .*; it must be a number, positive"):
        relative_timeout_ms({"timeout_ms": value})


@pytest.mark.parametrize("value", [-1, 1.5, "5", True, False, 10**400])
def test_nonsense_triton_timeouts(value: Any) -> None:
    """Triton's timeout is a whole number of microseconds."""
    with pytest.raises(InvalidInputError, match="parameter 'timeout'"):
        relative_timeout_ms({"timeout": value})


@pytest.mark.parametrize("header", ["", "soon", "nan", "-3", "1e400"])
def test_nonsense_timeout_headers(header: str) -> None:
    """The header is checked like the parameters."""
    with pytest.raises(InvalidInputError, match="header Heterosis-Timeout-Ms is"):
        relative_timeout_ms({}, header)


def test_priority() -> None:
    """Priority is a whole number, 0 where it is left out."""
    assert (priority({}), priority({"priority": 3})) == (0, 3)
    for value in (-1, 1.0, "1", True, 2**40):
        with pytest.raises(InvalidInputError, match="parameter 'priority'"):
            priority({"priority": value})

"""What may ride on a request besides its tensors: how long it may take, and how much it matters."""

import reprlib
from typing import Any

from heterosis.serving.protocol.messages import Parameters
from heterosis.terms import DEFAULT_CLASS
from heterosis.terms.errors import InvalidInputError

TIMEOUT_HEADER = "Heterosis-Timeout-Ms"
MAX_TIMEOUT_MS = 86_400_000.0
MAX_PRIORITY = 2**32 - 1


def relative_timeout_ms(parameters: Parameters, header: str | None = None) -> float | None:
    """How long the client will wait, in milliseconds from the request's arrival; None where it does not say.

    Said by the parameter ``timeout_ms`` (milliseconds), by Triton's ``timeout`` (whole microseconds, 0 for none), or by
    the header `TIMEOUT_HEADER`; the shortest counts. Raise InvalidInputError where one is no positive length of time.
    """
    if not parameters and header is None:
        return None
    found: list[float] = []
    if "timeout_ms" in parameters:
        found.append(_length("parameter 'timeout_ms'", parameters["timeout_ms"], 1.0))
    microseconds = parameters.get("timeout", 0)
    if isinstance(microseconds, float):
        raise InvalidInputError(f"parameter 'timeout' is {microseconds!r}; it must be a whole number of microseconds")
    if microseconds != 0 or isinstance(microseconds, bool):
        found.append(_length("parameter 'timeout', in microseconds,", microseconds, 1e3))
    if header is not None:
        try:
            value: float | str = float(header)
        except ValueError:
            value = header
        found.append(_length(f"header {TIMEOUT_HEADER}", value, 1.0))
    return min(found, default=None)


def priority(parameters: Parameters) -> int:
    """Return the client's ``priority``: Triton's, 1 is the highest, and 0, the default, leaves it to the server."""
    value = parameters.get("priority", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_PRIORITY:
        raise InvalidInputError(
            f"parameter 'priority' is {reprlib.repr(value)}; it must be a whole number in 0..{MAX_PRIORITY}"
        )
    return value


def class_of(parameters: Parameters) -> str:
    """The class of a request, by its priority."""
    return str(priority(parameters) or DEFAULT_CLASS)


def flag(label: str, parameters: Parameters, name: str, *, default: bool) -> bool:
    """Read a parameter that is true or false. ``label`` says in the message whose it is."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"parameter {name!r} of {label} is {reprlib.repr(value)}; it must be true or false")
    return value


def count(label: str, parameters: Parameters, name: str) -> int:
    """Read a parameter that is a whole number, 0 or more; 0 without it."""
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"parameter {name!r} of {label} is {reprlib.repr(value)}; it must be a number of them")
    return value


def _length(label: str, value: Any, per_ms: float) -> float:
    """Check a length of time given in units of which ``per_ms`` make a millisecond. NaN is in no range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= MAX_TIMEOUT_MS * per_ms:
        raise InvalidInputError(
            f"{label} is {reprlib.repr(value)}; it must be a number, positive and at most {MAX_TIMEOUT_MS * per_ms:.0f}"
        )
    return float(value) / per_ms

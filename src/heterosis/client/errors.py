"""Answers that are no success, as the exceptions they were."""

from heterosis.serving.protocol import decode_error
from heterosis.terms.errors import (
    DeadlineError,
    HeterosisError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)


class UnreachableError(UnavailableError):
    """No connection, or one that broke before the answer."""


class BrokenError(UnreachableError):
    """A connection that broke before the answer: whether the server has begun the request is not known."""


ERRORS: dict[int, type[HeterosisError]] = {
    error.status: error
    for error in (InvalidInputError, NotFoundError, TooLargeError, RefusedError, UnavailableError, DeadlineError)
}
"""What an answer of each status is raised as; HeterosisError for any other."""


def error_of(status: int, body: bytes, retry_after: str = "") -> HeterosisError:
    """Return the error that an answer stands for; its ``status`` is the answer's.

    ``retry_after`` is the answer's header of that name, in seconds; its other form, a date, is not read.
    """
    message = decode_error(body)
    if status in ERRORS:
        error = ERRORS[status](message)
        if isinstance(error, RefusedError | UnavailableError) and retry_after.isdecimal():
            error.retry_after_s = float(retry_after)
        return error
    error = HeterosisError(f"the server answered with status {status}: {message}")
    error.status = status
    return error

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


ERRORS: dict[int, type[HeterosisError]] = {
    error.status: error
    for error in (InvalidInputError, NotFoundError, TooLargeError, RefusedError, UnavailableError, DeadlineError)
}
"""What an answer of each status is raised as; HeterosisError for any other."""


def error_of(status: int, body: bytes) -> HeterosisError:
    """Return the error that an answer stands for; its ``status`` is the answer's."""
    message = decode_error(body)
    if status in ERRORS:
        return ERRORS[status](message)
    error = HeterosisError(f"the server answered with status {status}: {message}")
    error.status = status
    return error

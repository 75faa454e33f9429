"""Errors as answers: always ``{"error": "…"}``, with the status that says whose fault it is."""

import math

import structlog

from heterosis.serving.http.messages import HttpResponse, json_response
from heterosis.serving.protocol.messages import ErrorBody
from heterosis.terms.errors import HeterosisError, RefusedError, TooLargeError, UnavailableError

log = structlog.get_logger()


def failure(error: Exception) -> HttpResponse:
    """Answer with an error; one that is not ours is a defect, whose details go to the log alone."""
    if isinstance(error, HeterosisError):
        headers = {}
        if isinstance(error, RefusedError | UnavailableError):
            wait_s = error.retry_after_s if isinstance(error, RefusedError) else 0.0
            headers["retry-after"] = str(max(1, math.ceil(wait_s)))
        return json_response(ErrorBody(str(error)), error.status, headers)
    log.error("defect in the gateway", exc_info=error)
    return json_response(ErrorBody(f"internal error: {type(error).__name__}"), 500)


def too_large(length: int, most: int) -> HttpResponse:
    """Answer to a body past the limit."""
    error = TooLargeError(f"the body has {length} bytes or more; at most {most} are taken")
    return json_response(ErrorBody(str(error)), error.status)


def malformed(reason: str, status: int = 400) -> HttpResponse:
    """Answer to bytes that are no HTTP."""
    return json_response(ErrorBody(f"malformed HTTP: {reason}"), status)

"""When a request is sent again: only where the server cannot have begun it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from heterosis.client.errors import BrokenError
from heterosis.terms.errors import HeterosisError, RefusedError, UnavailableError

T = TypeVar("T")


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Most attempts at a request, and the waits between them, which double; what the server asks for counts, if longer.

    Sent again is what the server refused (429 and 503), and what found no connection. A connection that broke is not:
    the server may have begun. No wait goes past a request's own timeout.
    """

    attempts: int = 3
    first_wait_s: float = 0.1
    most_wait_s: float = 5.0


NO_RETRY = Retry(attempts=1)


async def retrying(retry: Retry, timeout_ms: float | None, attempt: Callable[[float | None], Awaitable[T]]) -> T:
    """Make attempts, each with the time that is left of the timeout, and raise the last error."""
    give_up = None if timeout_ms is None else time.monotonic() + timeout_ms / 1e3
    wait_s = retry.first_wait_s
    for number in range(1, retry.attempts + 1):
        try:
            return await attempt(timeout_ms)
        except BrokenError:
            raise
        except (RefusedError, UnavailableError) as error:
            wait_s = min(max(wait_s, asked_for(error)), retry.most_wait_s)
            late = give_up is not None and time.monotonic() + wait_s >= give_up
            if number == retry.attempts or late:
                raise
        await asyncio.sleep(wait_s)
        wait_s *= 2
        if give_up is not None:
            timeout_ms = max(give_up - time.monotonic(), 0.0) * 1e3
    raise AssertionError("at least one attempt is made")


def asked_for(error: HeterosisError) -> float:
    """The seconds that the server asked to be left alone for."""
    return float(getattr(error, "retry_after_s", 0.0))

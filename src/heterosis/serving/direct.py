"""Requests of models without code: one call each, followed by calls back where others have a coroutine.

They come by the thousand a second, and a task for each would cost as much as all the rest of its way.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from heterosis.serving.router import OpenCall, Result
from heterosis.serving.transport.framing import Frames
from heterosis.terms.errors import DeadlineError, HeterosisError

if TYPE_CHECKING:
    from heterosis.serving.models import Model

PATIENCE_S = 60.0
"""How long a request that names no timeout of its own is kept at most; its SLO is much shorter."""

_UNDONE = frozenset({"cancelled", "failed"})


class DirectRequest:
    """A request that was admitted, and whose call is on its way; a subclass says what is done with the result."""

    __slots__ = ("_call", "_expiry", "_model", "_request")

    def __init__(
        self,
        model: "Model",
        frames: Frames,
        size: int,
        timeout_ms: float | None,
        request_class: str,
        now: float | None = None,
        *,
        divisible: bool,
    ) -> None:
        """Send a call with these arguments, encoded, of so many items; ``now`` is what `time.monotonic` says.

        ``divisible`` is of `Request`. Raise RefusedError or UnavailableError where the request is not let in.
        """
        self._model = model
        began = time.monotonic() if now is None else now
        call = OpenCall(frames, self._done, began, began + PATIENCE_S)
        self._expiry: asyncio.TimerHandle | None = None
        limit_ms = model.limit_ms
        if timeout_ms is not None:
            limit_ms = timeout_ms
            call.until += timeout_ms / 1e3
        try:
            self._request, self._call = model.router.ask(
                model.key, limit_ms / 1e3, request_class, size, model.only_stage, call, divisible=divisible
            )
        except HeterosisError as error:
            model.refused(error, began)
            raise
        model.active += 1
        if timeout_ms is not None:
            self._expiry = asyncio.get_running_loop().call_later(timeout_ms / 1e3, self._done, TimeoutError())

    def told(self, result: Result, now: float) -> None:
        """Hear what came of it, and at what time: once, unless it was cancelled before; never while it is made."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Let nobody wait for it any more."""
        self._done(None)

    def _done(self, result: Result | None) -> None:
        """Let go of it, and tell what came of it; None: nobody waits for that."""
        if not self._call:
            return
        model, request, now = self._model, self._request, time.monotonic()
        call, self._call = self._call, ""
        if self._expiry is not None:
            self._expiry.cancel()
        outcome = "cancelled"
        if isinstance(result, Exception):
            outcome = "failed"
            if isinstance(result, TimeoutError):
                result = out_of_time(request.arrival)
        elif result is not None:
            outcome = "answered" if now <= request.deadline else "late"
        model.ended(outcome, now - request.arrival)
        if outcome in _UNDONE or request.divisible:  # else it has ended with its only call
            model.router.end(request, outcome, call)
        if result is not None:
            self.told(result, now)


def out_of_time(began: float) -> DeadlineError:
    """What to say to a request whose time is up."""
    return DeadlineError(f"no answer within {(time.monotonic() - began) * 1e3:.0f} ms")

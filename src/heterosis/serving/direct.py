"""Requests of models without code: one call each, followed by calls back where others have a coroutine.

They come by the thousand a second, and a task for each would cost as much as all the rest of its way.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from heterosis.serving.router import Result
from heterosis.serving.transport.framing import Frames
from heterosis.terms import Call
from heterosis.terms.errors import DeadlineError

if TYPE_CHECKING:
    from heterosis.serving.models import Model

PATIENCE_S = 60.0
"""How long a request that names no timeout of its own is kept at most; its SLO is much shorter."""


class DirectRequest:
    """A request that was admitted, and whose call is on its way; a subclass says what is done with the result."""

    __slots__ = ("_began", "_call", "_expiry", "_model", "_request")

    def __init__(self, model: "Model", frames: Frames, size: int, timeout_ms: float | None, request_class: str) -> None:
        """Send a call with these arguments, encoded, of so many items.

        Raise RefusedError or UnavailableError where the request is not let in.
        """
        self._model = model
        self._began = began = time.monotonic()
        limit_ms = model.limit_ms if timeout_ms is None else timeout_ms
        self._request = request = model.admit(limit_ms, request_class, size, began)
        self._call = name = f"{request.id}/0"
        self._expiry: asyncio.TimerHandle | None = None
        until = began + PATIENCE_S
        if timeout_ms is not None:
            until += timeout_ms / 1e3
            self._expiry = asyncio.get_running_loop().call_later(timeout_ms / 1e3, self._done, TimeoutError())
        call = Call(id=name, request=request.id, stage=model.only_stage, size=size)
        model.router.open_call(call, frames, self._done, until)

    def told(self, result: Result) -> None:
        """Hear what came of it: once, unless it was cancelled before; never while it is made."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Let nobody wait for it any more."""
        if self._call:
            self._end("cancelled")

    def _done(self, result: Result) -> None:
        if not self._call:
            return
        outcome = "failed"
        if not isinstance(result, Exception):
            outcome = "answered" if time.monotonic() <= self._request.deadline else "late"
        elif isinstance(result, TimeoutError):
            result = out_of_time(self._began)
        self._end(outcome)
        self.told(result)

    def _end(self, outcome: str) -> None:
        """Let go of it."""
        if self._expiry is not None:
            self._expiry.cancel()
        name, self._call = self._call, ""
        self._model.ended(self._request, outcome, self._began, name)


def out_of_time(began: float) -> DeadlineError:
    """What to say to a request whose time is up."""
    return DeadlineError(f"no answer within {(time.monotonic() - began) * 1e3:.0f} ms")

"""Calls that are split: rows of their tensors go out in parts, and the rows that come back are joined again.

A part is a call of its own to whoever runs it. Nothing is copied on the way out, since rows lie one after the other:
the arrays of a part are views of those of the whole, in shared memory where these are.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from heterosis.serving.transport.framing import Frames, Part
from heterosis.serving.values import Buffer, DecodeError, EncodeError, decode, encode
from heterosis.terms.errors import StageError

if TYPE_CHECKING:
    from heterosis.serving.router import Result

log = structlog.get_logger()

Array = np.ndarray[Any, Any]

LARGE_BYTES = 1 << 20
"""From here on results are joined in a thread: that takes up to a millisecond a MB, for which others need not wait."""


def cut(frames: Frames, sizes: Sequence[int]) -> list[list[Buffer]]:
    """Cut a call's argument, a dict of tensors, encoded: each part gets the next so many rows of every tensor."""
    (tensors,) = decode([each.view if isinstance(each, Part) else each for each in frames])
    return [
        list(encode(({name: array[begin:end] for name, array in tensors.items()},)))
        for begin, end in pairwise(accumulate(sizes, initial=0))
    ]


def join(results: Sequence[Sequence[Buffer]], sizes: Sequence[int]) -> list[memoryview]:
    """Join the results of parts, dicts of tensors, encoded, of so many rows each: as one instance would have sent them.

    Raise StageError where they cannot be joined.
    """
    try:
        parts = [_tensors(frames, size) for frames, size in zip(results, sizes, strict=True)]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return [memoryview(each) for each in encode(joined)]
    except (DecodeError, EncodeError, KeyError, TypeError, ValueError) as error:
        raise StageError(f"the results of a call's parts do not go together: {error}") from error


def _tensors(frames: Sequence[Buffer], rows: int) -> dict[str, Array]:
    tensors = decode(frames)
    if not isinstance(tensors, dict) or not all(isinstance(array, np.ndarray) for array in tensors.values()):
        raise StageError("the results of a call's parts are no tensors")
    for name, array in tensors.items():
        if not array.ndim or len(array) != rows:
            raise StageError(f"output {name!r} has shape {array.shape} for {rows} rows of input")
    return tensors


class Joint:
    """Where the results of a call's parts meet."""

    def __init__(self, sizes: Sequence[int], done: "Callable[[Result], object]") -> None:
        """Wait for parts of so many rows each; ``done`` is told the result once all are there, and any error."""
        self._sizes = sizes
        self._done = done
        self._results: dict[int, Sequence[bytes | memoryview]] = {}

    def told(self, place: int, result: "Result") -> None:
        """Hear what came of a part."""
        if isinstance(result, Exception):
            self._done(result)
            return
        self._results[place] = result
        if len(self._results) < len(self._sizes):
            return
        if sum(len(frame) for frames in self._results.values() for frame in frames) < LARGE_BYTES:
            self._done(self._joined())
        else:
            joining = asyncio.get_running_loop().run_in_executor(None, self._joined)
            joining.add_done_callback(lambda joined: self._done(joined.result()))

    def _joined(self) -> "Result":
        try:
            return join([self._results[each] for each in sorted(self._results)], self._sizes)
        except StageError as error:
            return error
        except Exception as error:  # whatever it is, whoever waits for the call has to hear of it
            log.exception("results not joined")
            return StageError(f"the results of a call's parts cannot be joined: {type(error).__name__} {error}")

"""Requests to a model without code that differ from an earlier one in nothing but the bytes of their tensors.

What such a request comes to, and what its answer is, is found out once, on the way that all others go. From then on its
tensors are passed to a worker, and the results back, as the bytes that they are. Those whose bytes have to be looked at
(text, BOOL, what is widened, classes, clients' shared memory) always go the other way.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from heterosis.serving.direct import DirectRequest
from heterosis.serving.forms import arrays_in, read_header
from heterosis.serving.gateway.responses import response_of
from heterosis.serving.models import Model, State, decoded
from heterosis.serving.protocol import Buffer, InferRequest, InferResponse
from heterosis.serving.protocol.asked import Asked, Raw
from heterosis.serving.protocol.parameters import class_of, relative_timeout_ms
from heterosis.serving.protocol.tensors import BF16, BYTES
from heterosis.serving.router import Result
from heterosis.serving.transport.framing import Frames, Part
from heterosis.serving.values import encode

if TYPE_CHECKING:
    from heterosis.serving.gateway.core import Gateway

LOOKED_AT = frozenset({BYTES, BF16, "BOOL"})
"""Data types whose bytes are not passed on as they come."""
MOST_ANSWERS = 64
"""Kinds of answers to one kind of request that are remembered: shapes may follow from what is in the tensors."""
MOST_MODELS = 8

Read = Callable[[Asked, Raw], InferRequest]
"""Puts a request together with its tensors."""


class Template(NamedTuple):
    """An answer but for its tensors."""

    frames: int
    """How many a result like it has."""
    pieces: Sequence[tuple[bytes, int, int]]
    """What stands before each tensor, in which frame that is, and how long."""


class Shortcut(msgspec.Struct):
    """What requests that are alike come to."""

    asked: InferRequest
    """Without its tensors."""
    header: bytes
    """Of the values that a worker gets."""
    inputs: Sequence[tuple[int, int, int]]
    """For each of these values: which of the tensors it is, and where that begins and ends among them."""
    lengths: list[int]
    """Of the tensors, in bytes."""
    size: int
    """Items of the request."""
    divisible: bool
    """See `Request`."""
    request_class: str
    timeout_ms: float | None
    answers: dict[bytes, Template] = {}
    """By the header of a result."""
    length: int = 0
    """Of all tensors, in bytes."""

    def __post_init__(self) -> None:
        """Add it up."""
        self.length = sum(self.lengths)

    def frames(self, raw: Raw) -> Frames:
        """What to send to a worker."""
        return [self.header, *(Part(raw[place], None, 0) for place, _, _ in self.inputs)]

    def frames_in(self, body: memoryview, begin: int) -> Frames:
        """What to send to a worker of a body that ends with the tensors, and begins there in its memory."""
        frames: list[Buffer | Part] = [self.header]
        first = len(body) - self.length
        for _, start, end in self.inputs:
            frames.append(Part(body[first + start : first + end], body, begin + first + start))
        return frames

    def answer(self, frames: Sequence[Buffer]) -> Sequence[Buffer] | None:
        """Write the answer of a result; None where none was like it before, or its frames are not what it says."""
        known = self.answers.get(bytes(frames[0]))
        if known is None or len(frames) != known.frames:
            return None
        parts: list[Buffer] = []
        for before, place, length in known.pieces:
            tensor = frames[place]
            if len(tensor) != length:
                return None
            parts += (before, tensor)
        return parts


class Passed(DirectRequest):
    """A request whose tensors are passed on; a subclass says how an answer is written, and where it goes."""

    __slots__ = ("_gateway", "_shortcut", "_since")

    def __init__(
        self,
        gateway: "Gateway",
        model: Model,
        shortcut: Shortcut,
        frames: Frames,
        timeout_ms: float | None,
        since: float,
    ) -> None:
        """Admit it, and send these frames of the shortcut; ``since`` is when it came, by `time.monotonic`."""
        self._gateway, self._shortcut, self._since = gateway, shortcut, since
        now = time.monotonic()
        decode = model.statistics.decode
        decode.count += 1
        decode.seconds += now - since
        divisible = shortcut.divisible
        super().__init__(model, frames, shortcut.size, timeout_ms, shortcut.request_class, now, divisible=divisible)

    def told(self, result: Result, now: float) -> None:
        """Answer."""
        answer: Sequence[Buffer] | Exception | None
        if isinstance(result, Exception):
            answer = result
        else:
            began = now
            answer = self._shortcut.answer(result)
            now = time.monotonic()
            if answer is None:
                answer = self._first(result)
            else:
                spell = self._model.statistics.encode
                spell.count += 1
                spell.seconds += now - began
        self.end(answer, now)

    def _first(self, result: Sequence[Buffer]) -> Sequence[Buffer] | Exception:
        """Write the answer of a result as no other was."""
        asked = self._shortcut.asked
        try:
            response = response_of(self._model, asked, decoded(result))
            parts = self.write(response, asked)
            _learn(self._shortcut, result, response, parts)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets an answer
            return error
        return parts

    def write(self, response: InferResponse, request: InferRequest) -> Sequence[Buffer]:
        """Write an answer in parts: tensors as memoryviews, all else as bytes. Raise what says why that cannot be."""
        raise NotImplementedError

    def end(self, answer: Sequence[Buffer] | Exception, now: float) -> None:
        """Hand an answer over, or why there is none; ``now`` is what `time.monotonic` says."""
        raise NotImplementedError


def shortcut_for(model: Model, asked: Asked, raw: Raw, read: Read) -> Shortcut | None:
    """Return the short cut for a request, as far as there is one. Raise what says that the request is malformed."""
    if not passes(model):
        return None
    known: Shortcut | None
    try:
        known = asked.known[model.serial]
    except KeyError:
        known = _found(model, asked, raw, read)
        if len(asked.known) >= MOST_MODELS:
            asked.known.clear()
        asked.known[model.serial] = known
    return known if known is not None and list(map(len, raw)) == known.lengths else None


def passes(model: Model) -> bool:
    """Whether requests to a model may go the short way."""
    return model.state is State.READY and not model.router.emulated and not model.on_trial


def _found(model: Model, asked: Asked, raw: Raw, read: Read) -> Shortcut | None:
    pipeline, signature = model.servable.pipeline, model.signature
    wanted = list(asked.outputs.values())
    if (
        pipeline.direct is None
        or len(raw) != len(asked.inputs)
        or any(source.datatype in LOOKED_AT for source in asked.inputs)
        or not (wanted or asked.binary_output)
        or any(not each.binary or each.shared is not None or each.classes for each in wanted)
    ):
        return None
    request = read(asked, raw)
    request.check_outputs(signature.output_names)
    values = signature.decode(request.inputs)
    header, *buffers = encode((values,))
    names, lengths = [source.name for source in asked.inputs], list(map(len, raw))
    places = [names.index(name) for name in values]
    starts = [0, *itertools.accumulate(lengths)]
    if read_header(header) is None or list(map(len, buffers)) != [lengths[place] for place in places]:
        return None
    return Shortcut(
        asked=asked.request({}),
        header=bytes(header),
        inputs=[(place, starts[place], starts[place + 1]) for place in places],
        lengths=lengths,
        size=pipeline.size(values),
        divisible=pipeline.divisible(values),
        request_class=class_of(asked.parameters),
        timeout_ms=relative_timeout_ms(asked.parameters),
    )


def _learn(shortcut: Shortcut, frames: Sequence[Buffer], response: InferResponse, parts: Sequence[Buffer]) -> None:
    """Remember what the answer looks like that was written for a result; where it is not as simple as that, nothing."""
    arrays = arrays_in(frames[0])
    if arrays is None or response.parameters or len(shortcut.answers) >= MOST_ANSWERS:
        return
    names = list(shortcut.asked.outputs or response.outputs)
    pieces: list[tuple[bytes, int, int]] = []
    before = b""
    for part in parts:
        if not isinstance(part, memoryview):
            before += part
            continue
        name = names[len(pieces)]
        if name not in arrays or arrays[name][1] != response.outputs[name].dtype:
            return
        pieces.append((before, 1 + arrays[name][0], len(part)))
        before = b""
    if len(pieces) == len(names) and not before:
        shortcut.answers[bytes(frames[0])] = Template(len(frames), pieces)

"""Inference over gRPC: one request and its answer, or a stream of them."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import msgspec

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.grpc.methods import Methods, fail, status_of
from heterosis.serving.gateway.shortcut import Passed, shortcut_for
from heterosis.serving.protocol import Buffer, InferRequest, InferResponse
from heterosis.serving.protocol.asked import Asked
from heterosis.serving.protocol.grpc.codec import (
    encode_infer_response,
    encode_streamed,
    read_infer_request,
    with_tensors,
)
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import ModelStreamInferResponse
from heterosis.serving.protocol.parameters import relative_timeout_ms

MAX_CONCURRENT = 1024
"""Most requests of one stream in progress; more are not read until some have been answered."""

MAX_WAITING = 256
"""Most answers of one stream that wait for the client to read them."""

WANTS_FINAL, FINAL = "triton_enable_empty_final_response", "triton_final_response"
"""Triton's parameters: a client asks to be told which answer is its last, and is told."""

EVENED_FROM_S = 10.0
"""Shorter deadlines the wire shifts by 10 ms at most, less than may pass before a call is looked at."""


class Infer:
    """Runs models."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no request is in progress."""
        await self._idle.wait()

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self.infer),
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self.stream),
        }

    async def infer(self, message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Run a model. The call's own deadline counts like a timeout; when the client goes, its calls are freed."""
        try:
            return b"".join(await self._answer(message, context.time_remaining()))
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a status
            await fail(context, error)
        return b""

    async def stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Run models side by side; an answer comes when it is ready. An error is an answer, too, and ends nothing."""
        answers: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)
        free = asyncio.Semaphore(MAX_CONCURRENT)

        async def run(message: bytes) -> None:
            try:
                await self._stream(message, context.time_remaining(), answers)
            except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a message
                _, text, _ = status_of(error)
                await answers.put(ModelStreamInferResponse(error_message=text).SerializeToString())
            finally:
                free.release()

        async def read() -> None:
            async with asyncio.TaskGroup() as running:
                async for message in requests:
                    await free.acquire()
                    running.create_task(run(message))
            await answers.put(None)

        reading = asyncio.create_task(read())
        try:
            while (answer := await answers.get()) is not None:
                yield answer
        finally:
            reading.cancel()

    async def _answer(self, message: bytes, left_s: float | None) -> Sequence[Buffer]:
        gateway = self._gateway
        began = self._begin()
        try:
            asked, raw = read_infer_request(message)
            found = gateway.model(asked.model_name, asked.model_version)
            timeout_ms = _timeout_ms(asked, left_s)
            shortcut = shortcut_for(found, asked, raw, with_tensors)
            if shortcut is not None:
                passed = _Passed(gateway, found, shortcut, shortcut.frames(raw), timeout_ms, began)
                try:
                    return await passed.answer
                finally:
                    passed.cancel()
                    del passed  # an error has a traceback, that this frame, and this would have the error
            request = with_tensors(asked, raw, gateway.shared)
            answer = await gateway.infer(found, request, timeout_ms)
            return encode_infer_response(answer, request, gateway.shared)
        finally:
            self._end(began)

    async def _stream(self, message: bytes, left_s: float | None, answers: "asyncio.Queue[bytes | None]") -> None:
        """Run a model and queue its answers; where the client wants to know which is the last, each says so."""
        gateway = self._gateway
        began = self._begin()
        try:
            asked, raw = read_infer_request(message)
            found = gateway.model(asked.model_name, asked.model_version)
            request = with_tensors(asked, raw, gateway.shared)
            tells = bool(asked.parameters.get(WANTS_FINAL))

            async def queue(answer: InferResponse) -> None:
                if tells:
                    parameters = {**answer.parameters, FINAL: not found.streams}
                    answer = msgspec.structs.replace(answer, parameters=parameters)
                parts = encode_infer_response(answer, request, gateway.shared)
                await answers.put(b"".join(encode_streamed(parts)))

            await gateway.stream(found, request, queue, _timeout_ms(asked, left_s))
            if tells and found.streams:
                last = InferResponse(
                    model_name=found.name, model_version=found.version, outputs={}, parameters={FINAL: True}
                )
                parts = encode_infer_response(last, InferRequest(id=asked.id, inputs={}))
                await answers.put(b"".join(encode_streamed(parts)))
        finally:
            self._end(began)

    def _begin(self) -> float:
        self._active += 1
        self._idle.clear()
        return time.monotonic()

    def _end(self, began: float) -> None:
        self._gateway.metrics.answered(time.monotonic() - began)
        self._active -= 1
        if not self._active:
            self._idle.set()


class _Passed(Passed):
    """A request whose tensors are passed on as they came, and whose answer is awaited."""

    __slots__ = ("answer",)

    def __init__(self, *args: Any) -> None:
        """See `Passed`."""
        self.answer: asyncio.Future[Sequence[Buffer]] = asyncio.get_running_loop().create_future()
        super().__init__(*args)

    def write(self, response: InferResponse, request: InferRequest) -> Sequence[Buffer]:
        """Write an answer in parts."""
        return encode_infer_response(response, request)

    def end(self, answer: Sequence[Buffer] | Exception, now: float) -> None:  # noqa: ARG002 - who awaits it counts
        """Hand the answer over."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


def _timeout_ms(asked: Asked, left_s: float | None) -> float | None:
    """How long there is: what the parameters say, or what is left of the call's deadline, whichever is less."""
    said = relative_timeout_ms(asked.parameters)
    left_ms = None if left_s is None else _evened(left_s) * 1e3
    return min((each for each in (said, left_ms) if each is not None), default=None)


def _evened(left_s: float) -> float:
    """Round what is left of a deadline to two digits, mostly down, so that calls with the same timeout have the same.

    On the wire gRPC rounds timeouts up to three digits, and the same minute, microseconds having passed, now to 60.0 s
    and now to 60.1: taken as they are, calls would overtake each other by that. What has passed since they came is
    forgiven, up to three tenths of the last digit.
    """
    if left_s < EVENED_FROM_S:
        return left_s
    step_s = 10.0 ** (math.floor(math.log10(left_s)) - 1)
    return (left_s + 0.3 * step_s) // step_s * step_s

"""Inference over gRPC: one request and its answer, or a stream of them."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.grpc.methods import Methods, fail, status_of
from heterosis.serving.protocol import Buffer
from heterosis.serving.protocol.grpc.codec import decode_infer_request, encode_infer_response, encode_streamed
from heterosis.serving.protocol.grpc.stubs.inference_pb2 import ModelStreamInferResponse
from heterosis.serving.protocol.parameters import relative_timeout_ms

MAX_CONCURRENT = 1024
"""Most requests of one stream in progress; more are not read until some have been answered."""


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
        answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        free = asyncio.Semaphore(MAX_CONCURRENT)

        async def run(message: bytes) -> None:
            try:
                answers.put_nowait(b"".join(encode_streamed(await self._answer(message, context.time_remaining()))))
            except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a message
                _, text, _ = status_of(error)
                answers.put_nowait(ModelStreamInferResponse(error_message=text).SerializeToString())
            finally:
                free.release()

        async def read() -> None:
            async with asyncio.TaskGroup() as running:
                async for message in requests:
                    await free.acquire()
                    running.create_task(run(message))
            answers.put_nowait(None)

        reading = asyncio.create_task(read())
        try:
            while (answer := await answers.get()) is not None:
                yield answer
        finally:
            reading.cancel()

    async def _answer(self, message: bytes, left_s: float | None) -> list[Buffer]:
        self._active += 1
        self._idle.clear()
        try:
            return await self._run(message, left_s)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _run(self, message: bytes, left_s: float | None) -> list[Buffer]:
        gateway = self._gateway
        started = time.perf_counter()
        try:
            asked = decode_infer_request(message, gateway.shared)
            found = gateway.model(asked.model_name, asked.model_version)
            timeouts = [
                timeout_ms
                for timeout_ms in (relative_timeout_ms(asked.parameters), left_s and left_s * 1e3)
                if timeout_ms is not None
            ]
            answer = await gateway.infer(found, asked, min(timeouts, default=None))
        finally:
            gateway.metrics.answered(time.perf_counter() - started)
        return encode_infer_response(answer, asked, gateway.shared)

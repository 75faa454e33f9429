"""The gateway: the Open Inference Protocol over HTTP, in front of a router.

What a client sent wrong is found here, and answered with a 4xx that names the field; it reaches no worker.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from heterosis import __version__
from heterosis.serving.metrics import Metrics
from heterosis.serving.protocol import (
    HEADER_LENGTH,
    InferResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
    decode_request,
    encode_error,
    encode_response,
)
from heterosis.serving.protocol_parameters import TIMEOUT_HEADER, priority, relative_timeout_ms
from heterosis.serving.router import Router
from heterosis.terms import DEFAULT_CLASS
from heterosis.terms.errors import (
    HeterosisError,
    NotFoundError,
    RefusedError,
    StageError,
    TooLargeError,
    UnavailableError,
)

log = structlog.get_logger()

MAX_BODY_BYTES = 64 << 20
VERSION = "1"
EXTENSIONS = ("binary_tensor_data",)

Handler = Callable[[Request], Awaitable[Response]]


class Gateway:
    """An ASGI application for one router."""

    def __init__(self, router: Router, metrics: Metrics, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        """Lay out the routes."""
        self.router = router
        self.draining = False
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._signature = router.pipeline.signature
        model = "/v2/models/{model}"
        routes = [
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2", self.server_metadata),
            Route("/metrics", self.scrape),
        ]
        for prefix in (model, model + "/versions/{version}"):
            routes += [
                Route(prefix, self.model_metadata),
                Route(prefix + "/ready", self.model_ready),
                Route(prefix + "/infer", self.infer, methods=["POST"]),
            ]
        self.app = Starlette(
            routes=routes,
            exception_handlers={HeterosisError: _answer_error, HTTPException: _answer_http, Exception: _answer_defect},
        )

    async def live(self, _: Request) -> Response:
        """Whether the process answers."""
        return Response()

    async def ready(self, _: Request) -> Response:
        """Whether requests can be served."""
        self._check_ready()
        return Response()

    async def server_metadata(self, _: Request) -> Response:
        """Name the server and the extensions that it speaks."""
        return _json(ServerMetadata(name="heterosis", version=__version__, extensions=EXTENSIONS))

    async def model_metadata(self, request: Request) -> Response:
        """Describe the pipeline's inputs and outputs."""
        self._check_model(request)
        return _json(
            ModelMetadata(
                name=self.router.pipeline.name,
                versions=(VERSION,),
                platform="heterosis_emulated" if self.router.emulated else "heterosis",
                inputs=tuple(TensorMetadata.of(edge.spec) for edge in self._signature.inputs),
                outputs=(TensorMetadata.of(self._signature.output.spec),),
            )
        )

    async def model_ready(self, request: Request) -> Response:
        """Whether the pipeline can be served."""
        self._check_model(request)
        self._check_ready()
        return Response()

    async def infer(self, request: Request) -> Response:
        """Run the pipeline on the tensors of the body."""
        self._check_model(request)
        with self._metrics.request():
            asked = decode_request(await self._body(request), request.headers.get(HEADER_LENGTH))
            output = self._signature.output
            asked.check_outputs((output.spec.name,))
            timeout_ms = relative_timeout_ms(asked.parameters, request.headers.get(TIMEOUT_HEADER))
            request_class = str(priority(asked.parameters) or DEFAULT_CLASS)
            if self._signature.slow_to_decode:
                values = await asyncio.to_thread(self._signature.decode, asked.inputs)
            else:
                values = self._signature.decode(asked.inputs)
            self._check_ready()
            result = await self.router.infer(values, timeout_ms=timeout_ms, request_class=request_class)
        answer = InferResponse(
            model_name=self.router.pipeline.name,
            model_version=VERSION,
            id=asked.id,
            outputs={output.spec.name: self._encoded(result)},
            parameters={"emulated": True} if self.router.emulated else {},
        )
        header_length, buffers = encode_response(answer, asked)
        if header_length is None:
            return Response(buffers[0], media_type="application/json")
        headers = {HEADER_LENGTH: str(header_length)}
        return Response(b"".join(buffers), media_type="application/octet-stream", headers=headers)

    async def scrape(self, _: Request) -> Response:
        """Answer Prometheus."""
        return Response(self._metrics.exposition(), media_type=self._metrics.media_type)

    def _encoded(self, result: Any) -> Any:
        try:
            return self._signature.output.encode(result)
        except (TypeError, ValueError, OverflowError) as error:
            name = self.router.pipeline.name
            raise StageError(f"pipeline {name!r} returned what does not fit its annotation: {error}") from error

    def _check_model(self, request: Request) -> None:
        model, version = request.path_params["model"], request.path_params.get("version", VERSION)
        if model != self.router.pipeline.name:
            raise NotFoundError(f"no model {model!r}; this server has: {self.router.pipeline.name}")
        if version != VERSION:
            raise NotFoundError(f"model {model!r} has no version {version!r}; it has: {VERSION}")

    def _check_ready(self) -> None:
        if self.draining:
            raise UnavailableError("the server is stopping")
        if not self.router.ready:
            raise UnavailableError("the server is starting: not every stage has an instance that is ready")

    async def _body(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise self._too_large(int(announced))
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise self._too_large(len(body))
        return bytes(body)

    def _too_large(self, length: int) -> TooLargeError:
        return TooLargeError(f"the body has {length} bytes or more; at most {self._max_body_bytes} are taken")


def _json(content: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HeterosisError)  # noqa: S101
    headers = {}
    if isinstance(error, RefusedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return _error(error.status, str(error), headers)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _error(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers)


async def _answer_defect(_: Request, error: Exception) -> Response:
    if not isinstance(error, ClientDisconnect):
        log.error("defect in the gateway", exc_info=error)
    return _error(500, f"internal error: {type(error).__name__}")


def _error(status: int, message: str, headers: Any = None) -> Response:
    return Response(encode_error(message), status, headers=headers, media_type="application/json")

"""Whether the server and its models take requests: the protocol's own calls, and gRPC's health service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.grpc.methods import Methods, fail, parsed, unary
from heterosis.serving.protocol.grpc.stubs import health_pb2 as health
from heterosis.serving.protocol.grpc.stubs import inference_pb2 as pb
from heterosis.terms.errors import NotFoundError, UnavailableError

WATCH_PERIOD_S = 1.0


class Health:
    """Says whether; a model that there is not is just not ready, as clients expect."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "ServerLive": unary(self.live, pb.ServerLiveRequest),
            "ServerReady": unary(self.ready, pb.ServerReadyRequest),
            "ModelReady": unary(self.model_ready, pb.ModelReadyRequest),
        }

    async def live(self, _: Any) -> Any:
        """Whether the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ready(self, _: Any) -> Any:
        """Whether requests can be served."""
        return pb.ServerReadyResponse(ready=holds(self._gateway.check_ready))

    async def model_ready(self, request: Any) -> Any:
        """Whether a model can be served."""
        return pb.ModelReadyResponse(
            ready=holds(lambda: self._gateway.check_model_ready(request.name, request.version))
        )


class HealthService:
    """gRPC's health service. A service is the whole server, by the empty name or that of the protocol, or a model."""

    NAME = "grpc.health.v1.Health"

    def __init__(self, gateway: Gateway, service: str) -> None:
        """Ask this gateway, which serves the service of this name."""
        self._gateway = gateway
        self._service = service

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "Check": unary(self.check, health.HealthCheckRequest),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }

    async def check(self, request: Any) -> Any:
        """Say whether a service is ready. Raise NotFoundError where there is none of this name."""
        return health.HealthCheckResponse(status=self._status(request.service))

    async def watch(self, message: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Say whether a service is ready, and again whenever that changes."""
        try:
            name = parsed(message, health.HealthCheckRequest).service
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a status
            await fail(context, error)
        last = None
        while True:
            try:
                status = self._status(name)
            except NotFoundError:
                status = health.HealthCheckResponse.SERVICE_UNKNOWN
            if status != last:
                yield health.HealthCheckResponse(status=status).SerializeToString()
            last = status
            await asyncio.sleep(WATCH_PERIOD_S)

    def _status(self, service: str) -> Any:
        try:
            if service in {"", self._service}:
                self._gateway.check_ready()
            else:
                self._gateway.check_model_ready(service)
        except UnavailableError:
            return health.HealthCheckResponse.NOT_SERVING
        return health.HealthCheckResponse.SERVING


def holds(check: Callable[[], None]) -> bool:
    """Whether a check passes."""
    try:
        check()
    except (UnavailableError, NotFoundError):
        return False
    return True

"""A gRPC server on a port of its own, in the event loop of the gateway."""

import asyncio
import contextlib

import grpc

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.grpc.health import Health, HealthService
from heterosis.serving.gateway.grpc.infer import Infer
from heterosis.serving.gateway.grpc.management import Description, Repository, SharedMemory
from heterosis.terms.errors import UsageError

SERVICE = "inference.GRPCInferenceService"
NOUNS = (Health, Description, Repository, SharedMemory)
FRAME_BYTES, WINDOW_BYTES, READ_BYTES = 1 << 20, 4 << 20, 128 << 10
"""What a client may send at once, before it hears from us, and what is read at once."""
FLUSH_S = 1.0
"""How long answers have to leave once they are there."""


class GrpcServer:
    """Serves a gateway's operations."""

    def __init__(self, gateway: Gateway, *, host: str, port: int, max_message_bytes: int) -> None:
        """Take the address; port 0 is any that is free."""
        self._gateway = gateway
        self._host = host
        self._asked_port = port
        self._max_message_bytes = max_message_bytes
        self._infer = Infer(gateway)
        self._server: grpc.aio.Server | None = None
        self.address = ""
        """Where it listens, as ``host:port``; known once it has started."""

    async def start(self) -> None:
        """Listen. Raise UsageError where that cannot be."""
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", self._max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a port that is taken is an error, not shared
                # Tensors come in few large pieces: by default a message of 110 KB is seven frames, each read in parts.
                ("grpc.http2.max_frame_size", FRAME_BYTES),
                ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
                ("grpc.http2.bdp_probe", 0),
                ("grpc.experimental.tcp_read_chunk_size", READ_BYTES),
            )
        )
        nouns = [self._infer, *(noun(self._gateway) for noun in NOUNS)]
        methods = {name: method for noun in nouns for name, method in noun.methods().items()}
        health = HealthService(self._gateway, SERVICE)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(SERVICE, methods),
                grpc.method_handlers_generic_handler(HealthService.NAME, health.methods()),
            )
        )
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            port = server.add_insecure_port(f"{host}:{self._asked_port}")
        except RuntimeError as error:
            raise UsageError(f"cannot listen on {host}, port {self._asked_port}, for gRPC: {error}") from None
        await server.start()
        self._server = server
        self.address = f"{host}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Answer the requests in progress within the grace, then end what else is open: streams, and who watches.

        The gateway takes no more by then.
        """
        if self._server is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._infer.wait_idle(), grace_s)
        await self._server.stop(FLUSH_S)

"""One server over gRPC, for requests that are encoded already."""

from typing import Any, Self

from heterosis.client.errors import UnreachableError
from heterosis.serving.protocol import InferResponse
from heterosis.terms.errors import (
    DeadlineError,
    HeterosisError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

METHOD = "/inference.GRPCInferenceService/ModelInfer"

ERRORS: dict[str, type[HeterosisError]] = {
    "INVALID_ARGUMENT": InvalidInputError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RefusedError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "UNAVAILABLE": UnavailableError,
}
"""What a status of gRPC is raised as; HeterosisError for any other."""


class GrpcClient:
    """``async with GrpcClient("host:port") as client: ...``."""

    def __init__(self, address: str) -> None:
        """Take the server's address; nothing is sent yet."""
        self.address = address.removeprefix("grpc://")

    async def __aenter__(self) -> Self:
        """Open the channel."""
        import grpc.aio

        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.aio.insecure_channel(self.address, options=unlimited)
        self._infer: Any = self._channel.unary_unary(METHOD)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._channel.close()

    async def send(
        self, model: str, body: bytes, header_length: int | None, *, timeout_ms: float | None = None
    ) -> InferResponse:
        """Send a ``ModelInferRequest``, which names its model; the arguments are those of `Client.send`.

        The timeout is the call's deadline, which gRPC tells the server.
        """
        del model, header_length
        import grpc.aio

        from heterosis.serving.protocol.grpc.codec import decode_infer_response

        try:
            answer: bytes = await self._infer(body, timeout=None if timeout_ms is None else timeout_ms / 1e3)
        except grpc.aio.AioRpcError as error:
            message = str(error.details())
            if error.code() is grpc.StatusCode.UNAVAILABLE and "connect" in message.lower():
                raise UnreachableError(f"cannot reach {self.address}: {message}") from None
            raise ERRORS.get(error.code().name, HeterosisError)(message) from None
        return decode_infer_response(answer)

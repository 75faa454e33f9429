"""What a gRPC method is here, and how errors and messages cross over."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import msgspec
import structlog
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from heterosis.terms.errors import HeterosisError, InvalidInputError, RefusedError

log = structlog.get_logger()

CODES: dict[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""What a client sees instead of an HTTP status; INTERNAL for any other."""

PUSHBACK = "grpc-retry-pushback-ms"
"""Metadata by which a server tells when to come back (grpc/proposal, A6-client-retries.md)."""

Methods = dict[str, grpc.RpcMethodHandler]


def message_of(struct: msgspec.Struct, type_: Any) -> Any:
    """Turn an answer of the gateway into the message with the same fields."""
    return ParseDict(msgspec.to_builtins(struct), type_())


def unary(handler: Callable[[Any], Awaitable[Any]], request: Any) -> grpc.RpcMethodHandler:
    """Make a method of a handler that takes one message, of the type ``request``, and returns one."""

    async def method(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            answer: bytes = (await handler(parsed(message, request))).SerializeToString()
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a status
            await fail(context, error)
        return answer

    return grpc.unary_unary_rpc_method_handler(method)


def parsed(message: bytes, type_: Any) -> Any:
    """Read a message. Raise InvalidInputError where it is none of this type."""
    try:
        return type_.FromString(message)
    except DecodeError as error:
        raise InvalidInputError(f"the message is no {type_.DESCRIPTOR.name}: {error}") from None


async def fail(context: grpc.aio.ServicerContext, error: Exception) -> None:
    """End a call with the status of an error: raises what ends it."""
    code, message, metadata = status_of(error)
    await context.abort(code, message, metadata)


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """Return code, message and metadata of an error; one that is not ours is a defect, whose details are logged."""
    if not isinstance(error, HeterosisError):
        log.error("defect in the gateway", exc_info=error)
        return grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}", ()
    metadata = ((PUSHBACK, str(math.ceil(error.retry_after_s * 1e3))),) if isinstance(error, RefusedError) else ()
    return CODES.get(error.status, grpc.StatusCode.INTERNAL), str(error), metadata

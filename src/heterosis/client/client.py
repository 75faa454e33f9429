"""One server, seen from Python: tensors in, tensors out, errors as exceptions."""

import asyncio
import io
from collections.abc import Mapping
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
import numpy as np

from heterosis.client.errors import BrokenError, UnreachableError, error_of
from heterosis.client.retrying import NO_RETRY, Retry, retrying
from heterosis.serving.protocol import (
    HEADER_LENGTH,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ServerMetadata,
    decode_response,
    encode_request,
)
from heterosis.serving.protocol.parameters import TIMEOUT_HEADER
from heterosis.terms.errors import DeadlineError, HeterosisError, InvalidInputError, NotFoundError, UnavailableError

CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS = 4.0
"""Less than servers' usual 5 s, so that no request is sent into a connection that is just being closed."""
GRACE_SECONDS = 5.0
"""How long past a request's own timeout the client waits for the server to say that it is over."""
LARGE_BYTES = 2**20

Array = np.ndarray[Any, Any]
T = TypeVar("T")


class Client:
    """A client of the server at ``url``: ``async with Client(url) as client: ...``.

    ``connections`` limits the requests that are under way at one time (0: no limit); ``retry`` says whether `infer`
    tries again where the server cannot have begun. Every method raises
    UnreachableError where the server cannot be reached, and otherwise the error that the answer stands for.
    """

    def __init__(self, url: str, *, connections: int = 0, retry: Retry = NO_RETRY) -> None:
        """Take the server's address; nothing is sent yet."""
        self._retry = retry
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEPALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Array],
        *,
        timeout_ms: float | None = None,
        binary: bool = True,
    ) -> dict[str, Array]:
        """Send one request and return the outputs by name; BYTES tensors are object arrays of ``bytes``.

        ``timeout_ms`` is how long an answer is of use, from when the server has the request; after that it is a
        DeadlineError. ``binary`` says whether tensors travel as bytes or as JSON.
        """
        length, parts = encode_request(InferRequest(inputs=inputs, binary_output=binary), binary=binary)
        body = b"".join(parts)

        async def attempt(left_ms: float | None) -> InferResponse:
            return await self.send(model, body, length, timeout_ms=left_ms)

        return dict((await retrying(self._retry, timeout_ms, attempt)).outputs)

    async def send(
        self, model: str, body: bytes, header_length: int | None, *, timeout_ms: float | None = None
    ) -> InferResponse:
        """Send a request that is encoded already, as `encode_request` does."""
        headers = {"Content-Type": "application/json" if header_length is None else "application/octet-stream"}
        if header_length is not None:
            headers[HEADER_LENGTH] = str(header_length)
        if timeout_ms is not None:
            headers[TIMEOUT_HEADER] = f"{timeout_ms:.3f}"
        path = f"/v2/models/{quote(model, safe='')}/infer"
        patience = None if timeout_ms is None else timeout_ms / 1e3 + GRACE_SECONDS
        answer, length = await self._ask("POST", path, body, headers, patience)
        return decode_response(answer, length)

    async def metadata(self) -> ServerMetadata:
        """Describe the server."""
        return _parse((await self._ask("GET", "/v2"))[0], ServerMetadata)

    async def model_metadata(self, model: str) -> ModelMetadata:
        """Describe the inputs and outputs of a model (a pipeline, here)."""
        return _parse((await self._ask("GET", f"/v2/models/{quote(model, safe='')}"))[0], ModelMetadata)

    async def ready(self, model: str | None = None) -> bool:
        """Whether the server, or one of its models, takes requests now."""
        path = "/v2/health/ready" if model is None else f"/v2/models/{quote(model, safe='')}/ready"
        try:
            await self._ask("GET", path)
        except (UnavailableError, NotFoundError, InvalidInputError):
            return False
        return True

    async def metrics(self) -> str:
        """Read the server's metrics in Prometheus' text format."""
        return (await self._ask("GET", "/metrics"))[0].decode()

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> tuple[bytes, str | None]:
        """Return the body of a good answer, and the length of its JSON part where it says so."""
        if self._session is None:
            raise UnavailableError("the client is not open; use it as `async with Client(url) as client`")
        data = io.BytesIO(body) if body is not None and len(body) > LARGE_BYTES else body
        try:
            async with (
                asyncio.timeout(patience_s),
                self._session.request(method, self.url + path, data=data, headers=headers) as response,
            ):
                answer = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise DeadlineError(f"no answer from {self.url} within {patience_s} s") from None
            kind = UnreachableError if isinstance(error, aiohttp.ClientConnectorError) else BrokenError
            raise kind(f"cannot reach {self.url}: {error or type(error).__name__}") from None
        if response.ok:
            return answer, response.headers.get(HEADER_LENGTH)
        raise error_of(response.status, answer, response.headers.get("Retry-After", ""))


def _parse(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HeterosisError(f"the server's answer does not follow the Open Inference Protocol: {error}") from None

"""The client for programs that do not use asyncio: the same requests, on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Self, TypeVar

from heterosis.client.client import Array, Client
from heterosis.client.retrying import NO_RETRY, Retry
from heterosis.serving.protocol import ModelMetadata, ServerMetadata

T = TypeVar("T")


class BlockingClient:
    """``with BlockingClient(url) as client: ...``; see `Client`. Any thread may use it."""

    def __init__(self, url: str, *, connections: int = 0, retry: Retry = NO_RETRY) -> None:
        """Take the server's address; nothing is sent yet."""
        self._client = Client(url, connections=connections, retry=retry)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="heterosis-client", daemon=True)

    def __enter__(self) -> Self:
        """Open the pool of connections."""
        self._thread.start()
        self._wait(self._client.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._wait(self._client.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def infer(
        self, model: str, inputs: Mapping[str, Array], *, timeout_ms: float | None = None, binary: bool = True
    ) -> dict[str, Array]:
        """See `Client.infer`."""
        return self._wait(self._client.infer(model, inputs, timeout_ms=timeout_ms, binary=binary))

    def metadata(self) -> ServerMetadata:
        """See `Client.metadata`."""
        return self._wait(self._client.metadata())

    def model_metadata(self, model: str) -> ModelMetadata:
        """See `Client.model_metadata`."""
        return self._wait(self._client.model_metadata(model))

    def ready(self, model: str | None = None) -> bool:
        """See `Client.ready`."""
        return self._wait(self._client.ready(model))

    def metrics(self) -> str:
        """See `Client.metrics`."""
        return self._wait(self._client.metrics())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

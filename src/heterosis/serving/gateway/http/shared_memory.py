"""Regions of shared memory through which clients on this host pass tensors."""

import msgspec

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.http import HttpRequest, HttpResponse, Operation, Route, json_response, parse_json
from heterosis.serving.protocol.shared_memory import Region
from heterosis.terms.errors import InvalidInputError

SYSTEM = "/v2/systemsharedmemory"
CUDA = "/v2/cudasharedmemory"
ONE = "/region/{name}"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a region is: a part of the memory object ``key``, in bytes."""

    key: str
    offset: int = 0
    byte_size: int


class CudaRegion(msgspec.Struct, frozen=True, kw_only=True):
    """A region on a GPU, as Triton describes it; there are none here."""

    name: str
    device_id: int
    byte_size: int


class SharedMemory:
    """Registers regions. CUDA has none, but clients may make sure of that."""

    def __init__(self, gateway: Gateway) -> None:
        """Keep the regions of this gateway."""
        self._shared = gateway.shared

    def routes(self) -> list[Route]:
        """List what is answered here."""
        status = Operation("The regions that are registered", answer=list[Region])
        register = Operation("Register a region that the client has made", body=Place, media=None)
        unregister = Operation("Forget it", media=None)
        no_cuda = Operation("The CUDA regions that are registered: none", answer=list[CudaRegion])
        return [
            Route("GET", SYSTEM + "/status", self.status, status),
            Route("GET", SYSTEM + ONE + "/status", self.status, status),
            Route("POST", SYSTEM + ONE + "/register", self.register, register),
            Route("POST", SYSTEM + "/unregister", self.unregister, unregister),
            Route("POST", SYSTEM + ONE + "/unregister", self.unregister, unregister),
            Route("GET", CUDA + "/status", self.no_regions, no_cuda),
            Route("POST", CUDA + "/unregister", self.nothing, unregister),
            Route("POST", CUDA + ONE + "/unregister", self.nothing, unregister),
            Route("POST", CUDA + ONE + "/register", self.no_cuda, Operation("Always refused", media=None)),
        ]

    async def status(self, _: HttpRequest, name: str = "") -> HttpResponse:
        """List the regions."""
        return json_response(self._shared.status(name))

    async def register(self, request: HttpRequest, name: str) -> HttpResponse:
        """Open a region."""
        place = parse_json(request.body, Place)
        self._shared.register(Region(name=name, key=place.key, offset=place.offset, byte_size=place.byte_size))
        return HttpResponse()

    async def unregister(self, _: HttpRequest, name: str = "") -> HttpResponse:
        """Forget a region, or all."""
        self._shared.unregister(name)
        return HttpResponse()

    async def no_regions(self, _: HttpRequest) -> HttpResponse:
        """List no CUDA regions."""
        return json_response([])

    async def nothing(self, _: HttpRequest, name: str = "") -> HttpResponse:  # noqa: ARG002
        """There is nothing to unregister."""
        return HttpResponse()

    async def no_cuda(self, _: HttpRequest, name: str) -> HttpResponse:
        """Refuse a CUDA region."""
        raise InvalidInputError(f"cannot register {name!r}: there is no CUDA shared memory here")

"""System shared memory: regions that clients on the same host have made and registered, to pass tensors through.

Source: triton-inference-server/server, docs/protocol/extension_shared_memory.md. Regions are read and written with
``pread`` and ``pwrite``, not mapped: a client that cuts its region short gets an error, where a mapping would end the
server. That is one copy, and no read from a socket. A key is a name in /dev/shm, never a path out of it, and never that
of our own segments. Clients on other hosts have no business here, so a server that they can reach offers none of this.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from heterosis.serving.protocol.messages import Slice
from heterosis.serving.protocol.tensors import Buffer
from heterosis.terms.errors import InvalidInputError, NotFoundError

FOLDER = Path("/dev/shm")  # noqa: S108 - where shm_open puts what clients name
OWN_PREFIX = "heterosis-"
MAX_REGIONS = 1024
_KEY = re.compile(r"/?(?!\.{1,2}$)[^/\0]{1,255}")


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A registered region: a part of the memory object ``key``."""

    name: str
    key: str
    offset: int
    byte_size: int


class SharedMemory:
    """The registered regions of one server."""

    def __init__(self, *, enabled: bool = True) -> None:
        """Start without any; where not ``enabled``, none can be registered."""
        self._enabled = enabled
        self._regions: dict[str, tuple[Region, int]] = {}

    def register(self, region: Region) -> None:
        """Open a region. Raise InvalidInputError where it is not there, is too small, or its name is taken."""
        if not self._enabled:
            raise InvalidInputError("shared memory is for clients on the server's own host; it listens to others, too")
        if region.name in self._regions:
            raise InvalidInputError(f"shared memory region {region.name!r} is registered already; unregister it first")
        if len(self._regions) >= MAX_REGIONS:
            raise InvalidInputError(f"{MAX_REGIONS} shared memory regions are registered; unregister some first")
        if region.offset < 0 or region.byte_size <= 0:
            raise InvalidInputError(
                f"shared memory region {region.name!r} has offset {region.offset} and byte_size {region.byte_size}; "
                "it begins at 0 or later and holds at least a byte"
            )
        self._regions[region.name] = region, _open(region)

    def unregister(self, name: str = "") -> None:
        """Forget a region, or all of them; that it is not there is no error."""
        for each in [name] if name else list(self._regions):
            found = self._regions.pop(each, None)
            if found is not None:
                os.close(found[1])

    def status(self, name: str = "") -> list[Region]:
        """List the regions, or one of them. Raise NotFoundError where there is none of this name."""
        if name and name not in self._regions:
            raise NotFoundError(f"no shared memory region {name!r} is registered")
        return [region for region, _ in self._regions.values() if name in {"", region.name}]

    def read(self, part: Slice) -> memoryview:
        """Return a copy of a part of a region."""
        region, file = self._find(part)
        data = bytearray(part.byte_size)
        if os.preadv(file, [data], region.offset + part.offset) != part.byte_size:
            raise InvalidInputError(f"shared memory region {part.region!r} has become shorter than was registered")
        return memoryview(data).toreadonly()

    def write(self, part: Slice, data: Buffer) -> None:
        """Put data at the beginning of a part of a region."""
        region, file = self._find(part)
        if len(data) > part.byte_size:
            raise InvalidInputError(
                f"an output of {len(data)} bytes does not fit the {part.byte_size} bytes that were given for it "
                f"in shared memory region {part.region!r}"
            )
        if os.fstat(file).st_size < region.offset + part.offset + len(data):  # writing would make it longer
            raise InvalidInputError(f"shared memory region {part.region!r} has become shorter than was registered")
        os.pwrite(file, data, region.offset + part.offset)

    def close(self) -> None:
        """Forget all regions."""
        self.unregister()

    def _find(self, part: Slice) -> tuple[Region, int]:
        found = self._regions.get(part.region)
        if found is None:
            raise InvalidInputError(f"no shared memory region {part.region!r} is registered")
        if part.offset < 0 or part.byte_size < 0 or part.offset + part.byte_size > found[0].byte_size:
            raise InvalidInputError(
                f"{part.byte_size} bytes at offset {part.offset} are not within the {found[0].byte_size} bytes of "
                f"shared memory region {part.region!r}"
            )
        return found


NONE_SHARED = SharedMemory(enabled=False)
"""For where there is no shared memory."""


def slice_of(label: str, parameters: Mapping[str, str | int | float | bool]) -> Slice | None:
    """Read the parameters that put a tensor in shared memory; None where there are none."""
    names = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
    if parameters.keys().isdisjoint(names):
        return None
    region, offset, size = (parameters.get(name) for name in names)
    if region is None and offset is None and size is None:
        return None
    if not isinstance(region, str) or not _is_count(size) or not (offset is None or _is_count(offset)):
        raise InvalidInputError(
            f"{label} in shared memory needs the parameters {names[0]} (a name) and {names[2]} (bytes), "
            f"and may have {names[1]} (bytes)"
        )
    return Slice(region, int(offset or 0), int(size or 0))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _open(region: Region) -> int:
    key = region.key.removeprefix("/")
    if not _KEY.fullmatch(region.key) or key.startswith(OWN_PREFIX):
        raise InvalidInputError(f"shared memory key {region.key[:80]!r} is not the name of a client's shared memory")
    try:
        file = os.open(FOLDER / key, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInputError(f"cannot open shared memory {region.key!r}: {reason}") from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size < region.offset + region.byte_size:
        os.close(file)
        raise InvalidInputError(
            f"shared memory {region.key!r} has {found.st_size} bytes; region {region.name!r} "
            f"needs {region.offset + region.byte_size}"
        )
    return file

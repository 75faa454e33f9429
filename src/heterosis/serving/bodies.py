"""Where the bodies of requests lie: in the memory shared with workers, so that their tensors need not be copied."""

from collections.abc import Mapping

from heterosis.serving.http.connection import Allocate
from heterosis.serving.http.server import allocate
from heterosis.serving.protocol import HEADER_LENGTH
from heterosis.serving.transport import SharedMemory
from heterosis.serving.transport.hub import SHARED_BYTES

_HEADER_LENGTH = HEADER_LENGTH.lower()


def body_memory(memory: SharedMemory) -> Allocate:
    """Give shared memory to large bodies, and any other to small ones, and where there is no room.

    The first tensor that follows the JSON of a request begins where engines like arrays to begin.
    """

    def body(length: int, headers: Mapping[str, str], before: int) -> memoryview:
        if length >= SHARED_BYTES:
            announced = headers.get(_HEADER_LENGTH, "")
            json_bytes = int(announced) if announced.isdecimal() and len(announced) < len(str(length)) + 1 else 0
            block = memory.allocate(before + length, before + json_bytes)
            if block is not None:
                return block
        return allocate(length, headers, before)

    return body

"""A request to infer but for the bytes of its tensors: what is alike from one request of a client to the next.

HTTP's JSON and gRPC's messages both come to this. It is read and checked once, and remembered (`wire`, `grpc.codec`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from heterosis.serving.protocol.messages import InferRequest, Parameters, RequestedOutput, Slice
from heterosis.serving.protocol.shared_memory import SharedMemory
from heterosis.serving.protocol.tensors import Array, from_binary
from heterosis.terms.errors import InvalidInputError

REMEMBERED, REMEMBERED_BYTES = 512, 2048
"""How many of these, up to how long, are read but once, and as many heads of answers written."""
LONGEST_ID = 128
"""Heads of answers with longer ids, which are clients', are not kept."""

Raw = Sequence[memoryview]
"""The tensors of a request that came as bytes, in their order."""


class Source(msgspec.Struct, frozen=True):
    """A tensor, and where its data are: written out, in shared memory, or among the bytes that came along."""

    name: str
    label: str
    datatype: str
    shape: list[int]
    written: Any = None
    part: Slice | None = None
    size: int = 0
    """How many bytes came along for it, where that is announced."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for."""

    model_name: str = ""
    """Over gRPC; over HTTP the path says that."""
    model_version: str = ""
    id: str
    inputs: Sequence[Source]
    outputs: dict[str, RequestedOutput]
    binary_output: bool
    parameters: Parameters
    known: dict[int, Any] = {}
    """What was found out about it and need not be found out again, by the serial number of a model."""

    def request(self, inputs: dict[str, Array]) -> InferRequest:
        """Put it together with its tensors."""
        return InferRequest(
            id=self.id,
            inputs=inputs,
            outputs=self.outputs,
            binary_output=self.binary_output,
            parameters=self.parameters,
        )


def arrays_of(
    sources: Sequence[Source],
    raw: Raw | None,
    shared: SharedMemory,
    read: Callable[[Source], Array],
    *,
    align: bool = True,
) -> dict[str, Array]:
    """Make arrays. There are as many ``raw`` tensors as it takes, or none: then ``read`` is asked for those, too.

    It reads what is written out. Arrays may share the memory of what is raw; those in ``shared`` memory are copied.
    Raise InvalidInputError, naming the tensor.
    """
    found: dict[str, Array] = {}
    left = iter(raw or ())
    for source in sources:
        label, datatype, shape = source.label, source.datatype, source.shape
        if source.part is not None:
            found[source.name] = from_binary(label, datatype, shape, shared.read(source.part))
        elif raw is None or source.written is not None:
            found[source.name] = read(source)
        else:
            found[source.name] = from_binary(label, datatype, shape, next(left), align=align)
    return found


def put_once(outputs: dict[str, RequestedOutput], name: str, label: str, wanted: RequestedOutput) -> None:
    """Take note of an output that is asked for. Raise InvalidInputError where it was before."""
    if name in outputs:
        raise InvalidInputError(f"{label} is asked for twice")
    outputs[name] = wanted

"""What the Open Inference Protocol says, as Python sees it: requests, answers, metadata, errors."""

import reprlib
from collections.abc import Collection, Mapping

import msgspec

from heterosis.serving.protocol.tensors import NAMES, Array
from heterosis.terms import TensorSpec
from heterosis.terms.errors import InvalidInputError

Parameters = Mapping[str, str | int | float | bool]


class Slice(msgspec.Struct, frozen=True):
    """A part of a region of shared memory that the client has registered; offset and size are bytes."""

    region: str
    offset: int
    byte_size: int


class RequestedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """How an output shall be returned: in binary form or not, or in shared memory; or the ``classes`` largest of it."""

    binary: bool = False
    shared: Slice | None = None
    classes: int = 0


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to infer. ``outputs`` says which outputs are asked for, and how; empty means all."""

    id: str = ""
    inputs: Mapping[str, Array]
    outputs: Mapping[str, RequestedOutput] = {}
    binary_output: bool = False
    parameters: Parameters = {}

    def wanted(self, output: str) -> RequestedOutput:
        """How the client wants this output."""
        return self.outputs.get(output) or RequestedOutput(binary=self.binary_output)

    def check_outputs(self, known: Collection[str]) -> None:
        """Raise InvalidInputError where the client asks for an output that the model does not have."""
        for name in self.outputs:
            if name not in known:
                raise InvalidInputError(f"unknown output {reprlib.repr(name)}; the outputs are: {', '.join(known)}")


class InferResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request to infer."""

    model_name: str
    model_version: str = ""
    id: str = ""
    outputs: Mapping[str, Array]
    parameters: Parameters = {}


class TensorMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """An input or output of a model as clients see it; a length of -1 is any."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, spec: TensorSpec) -> "TensorMetadata":
        """Describe a tensor of a pipeline's signature."""
        return cls(name=spec.name, datatype=NAMES[spec.dtype], shape=spec.shape)


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to GET v2/models/NAME."""

    name: str
    versions: tuple[str, ...] = ()
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to GET v2."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: str

"""Which outputs a client gets, and how: common to HTTP and gRPC."""

from collections.abc import Iterator

from heterosis.serving.protocol.classification import classified
from heterosis.serving.protocol.messages import InferRequest, InferResponse, Parameters, RequestedOutput, Slice
from heterosis.serving.protocol.parameters import count, flag
from heterosis.serving.protocol.shared_memory import SharedMemory, slice_of
from heterosis.serving.protocol.tensors import Array, to_binary


def requested(label: str, parameters: Parameters, *, binary: bool) -> RequestedOutput:
    """Read the parameters of a requested output; ``binary`` is what the request says for all of them."""
    return RequestedOutput(
        binary=flag(label, parameters, "binary_data", default=binary),
        shared=slice_of(label, parameters),
        classes=count(label, parameters, "classification"),
    )


def asked_for(response: InferResponse, request: InferRequest) -> Iterator[tuple[str, Array, RequestedOutput]]:
    """Go through the outputs to send. Raise InvalidInputError where one is asked for that is not there."""
    request.check_outputs(response.outputs)
    for name in request.outputs or response.outputs:
        wanted = request.wanted(name)
        array = response.outputs[name]
        yield name, classified(name, array, wanted.classes) if wanted.classes else array, wanted


def put(shared: SharedMemory, part: Slice, array: Array) -> Parameters:
    """Write an output to shared memory; return the parameters that say so."""
    data = to_binary(array)
    shared.write(part, data)
    return {
        "shared_memory_region": part.region,
        "shared_memory_offset": part.offset,
        "shared_memory_byte_size": len(data),
    }

"""The Open Inference Protocol (KServe v2) without a transport: messages, tensors, parameters, HTTP's wire format."""

from heterosis.serving.protocol.messages import (
    ErrorBody,
    InferRequest,
    InferResponse,
    ModelMetadata,
    Parameters,
    RequestedOutput,
    ServerMetadata,
    TensorMetadata,
)
from heterosis.serving.protocol.tensors import DATATYPES, NAMES, Array, Buffer
from heterosis.serving.protocol.wire import (
    HEADER_LENGTH,
    decode_error,
    decode_request,
    decode_response,
    encode_error,
    encode_request,
    encode_response,
)

__all__ = [
    "DATATYPES",
    "HEADER_LENGTH",
    "NAMES",
    "Array",
    "Buffer",
    "ErrorBody",
    "InferRequest",
    "InferResponse",
    "ModelMetadata",
    "Parameters",
    "RequestedOutput",
    "ServerMetadata",
    "TensorMetadata",
    "decode_error",
    "decode_request",
    "decode_response",
    "encode_error",
    "encode_request",
    "encode_response",
]

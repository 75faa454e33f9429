"""The client over gRPC, with a real server."""

from typing import Any

import numpy as np
import pytest

from heterosis.client import GrpcClient, UnreachableError
from heterosis.serving.protocol import InferRequest
from heterosis.serving.protocol.grpc.codec import encode_infer_request
from heterosis.terms.errors import InvalidInputError, NotFoundError
from tests.serving.conftest import Serve, toy_plan

INPUTS: dict[str, Any] = {
    "values": np.ones(1000, np.float32),
    "factor": np.array([2], np.int64),
    "nap_ms": np.array([1], np.int64),
}


async def test_a_request_is_answered_and_errors_are_those_of_http(serving: Serve) -> None:
    """The same exceptions as from the client over HTTP."""
    async with serving(toy_plan(), grpc_port=0) as server, GrpcClient(server.grpc) as client:
        answer = await client.send("toy", encode_infer_request("toy", InferRequest(inputs=INPUTS)), None)
        assert len(answer.outputs) == 1
        with pytest.raises(NotFoundError):
            await client.send("", encode_infer_request("nobody", InferRequest(inputs=INPUTS)), None)
        with pytest.raises(InvalidInputError):
            await client.send("", encode_infer_request("toy", InferRequest(inputs={})), None)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """As over HTTP."""
    async with GrpcClient("127.0.0.1:1") as client:
        with pytest.raises(UnreachableError):
            await client.send("toy", b"", None)

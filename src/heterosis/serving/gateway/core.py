"""What a gateway does, whatever carries the requests: it finds the model, decodes, asks the model, encodes.

What a client sent wrong is found here, and raised as an error that names the field; it reaches no worker.
"""

import asyncio
from typing import Any

from heterosis import __version__
from heterosis.serving.metrics import Metrics
from heterosis.serving.models import Model
from heterosis.serving.protocol import InferRequest, InferResponse, ModelMetadata, ServerMetadata, TensorMetadata
from heterosis.serving.protocol.parameters import priority, relative_timeout_ms
from heterosis.serving.repository import Repository
from heterosis.terms import DEFAULT_CLASS
from heterosis.terms.errors import StageError, UnavailableError

EXTENSIONS = ("binary_tensor_data",)


class Gateway:
    """The operations of the protocol on a repository; every method raises a HeterosisError where it cannot."""

    def __init__(self, repository: Repository, metrics: Metrics) -> None:
        """Stand in front of a repository."""
        self.repository = repository
        self.metrics = metrics
        self.draining = False

    def check_ready(self) -> None:
        """Raise UnavailableError while any model cannot be used."""
        self._check_running()
        models = self.repository.models()
        if not models or not all(model.ready for model in models):
            raise UnavailableError("the server is starting: not every stage has an instance that is ready")

    def check_model_ready(self, model: str, version: str = "") -> None:
        """Raise UnavailableError while the model cannot be served, NotFoundError where there is none."""
        self._check_running()
        if not self.repository.get(model, version).ready:
            raise UnavailableError(f"model {model!r} is not ready: not every stage has an instance that is")

    def server_metadata(self) -> ServerMetadata:
        """Name the server and the extensions that it speaks."""
        return ServerMetadata(name="heterosis", version=__version__, extensions=EXTENSIONS)

    def model_metadata(self, model: str, version: str = "") -> ModelMetadata:
        """Describe a model's inputs and outputs."""
        found = self.repository.get(model, version)
        return ModelMetadata(
            name=found.name,
            versions=tuple(each.version for each in self.repository.models() if each.name == found.name),
            platform=found.platform,
            inputs=tuple(TensorMetadata.of(edge.spec) for edge in found.signature.inputs),
            outputs=tuple(TensorMetadata.of(edge.spec) for edge in found.signature.outputs),
        )

    async def infer(
        self, model: str, version: str, asked: InferRequest, timeout_header: str | None = None
    ) -> InferResponse:
        """Run a model on a client's tensors; give the outputs that are asked for."""
        found = self.repository.get(model, version)
        self._check_running()
        timeout_ms = relative_timeout_ms(asked.parameters, timeout_header)
        request_class = str(priority(asked.parameters) or DEFAULT_CLASS)
        await found.available(timeout_ms)
        signature = found.signature
        asked.check_outputs(tuple(edge.spec.name for edge in signature.outputs))
        if signature.slow_to_decode:
            values = await asyncio.to_thread(signature.decode, asked.inputs)
        else:
            values = signature.decode(asked.inputs)
        result = await found.infer(values, timeout_ms=timeout_ms, request_class=request_class)
        return InferResponse(
            model_name=found.name,
            model_version=found.version,
            id=asked.id,
            outputs=_encoded(found, result),
            parameters={"emulated": True} if found.emulated else {},
        )

    def _check_running(self) -> None:
        if self.draining:
            raise UnavailableError("the server is stopping")


def _encoded(model: Model, result: Any) -> dict[str, Any]:
    try:
        return model.signature.encode(result)
    except (TypeError, ValueError, OverflowError) as error:
        raise StageError(f"pipeline {model.name!r} returned what does not fit its annotation: {error}") from error

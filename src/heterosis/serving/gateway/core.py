"""What a gateway does, whatever carries the requests: it finds the model, decodes, asks the router, encodes.

What a client sent wrong is found here, and raised as an error that names the field; it reaches no worker.
"""

import asyncio
from typing import Any

from heterosis import __version__
from heterosis.serving.metrics import Metrics
from heterosis.serving.protocol import InferRequest, InferResponse, ModelMetadata, ServerMetadata, TensorMetadata
from heterosis.serving.protocol.parameters import priority, relative_timeout_ms
from heterosis.serving.router import Router
from heterosis.terms import DEFAULT_CLASS
from heterosis.terms.errors import NotFoundError, StageError, UnavailableError

VERSION = "1"
EXTENSIONS = ("binary_tensor_data",)


class Gateway:
    """The operations of the protocol on one router; every method raises a HeterosisError where it cannot."""

    def __init__(self, router: Router, metrics: Metrics) -> None:
        """Stand in front of a router."""
        self.router = router
        self.metrics = metrics
        self.draining = False
        self._signature = router.pipeline.signature

    def check_ready(self) -> None:
        """Raise UnavailableError while requests cannot be served."""
        if self.draining:
            raise UnavailableError("the server is stopping")
        if not self.router.ready:
            raise UnavailableError("the server is starting: not every stage has an instance that is ready")

    def check_model_ready(self, model: str, version: str = "") -> None:
        """Raise UnavailableError while the model cannot be served, NotFoundError where there is none."""
        self._check_model(model, version)
        self.check_ready()

    def server_metadata(self) -> ServerMetadata:
        """Name the server and the extensions that it speaks."""
        return ServerMetadata(name="heterosis", version=__version__, extensions=EXTENSIONS)

    def model_metadata(self, model: str, version: str = "") -> ModelMetadata:
        """Describe a pipeline's inputs and outputs."""
        self._check_model(model, version)
        return ModelMetadata(
            name=self.router.pipeline.name,
            versions=(VERSION,),
            platform="heterosis_emulated" if self.router.emulated else "heterosis",
            inputs=tuple(TensorMetadata.of(edge.spec) for edge in self._signature.inputs),
            outputs=(TensorMetadata.of(self._signature.output.spec),),
        )

    async def infer(
        self, model: str, version: str, asked: InferRequest, timeout_header: str | None = None
    ) -> InferResponse:
        """Run the pipeline on a client's tensors; give the outputs that are asked for."""
        self._check_model(model, version)
        output = self._signature.output
        asked.check_outputs((output.spec.name,))
        timeout_ms = relative_timeout_ms(asked.parameters, timeout_header)
        request_class = str(priority(asked.parameters) or DEFAULT_CLASS)
        if self._signature.slow_to_decode:
            values = await asyncio.to_thread(self._signature.decode, asked.inputs)
        else:
            values = self._signature.decode(asked.inputs)
        self.check_ready()
        result = await self.router.infer(values, timeout_ms=timeout_ms, request_class=request_class)
        return InferResponse(
            model_name=self.router.pipeline.name,
            model_version=VERSION,
            id=asked.id,
            outputs={output.spec.name: self._encoded(result)},
            parameters={"emulated": True} if self.router.emulated else {},
        )

    def _encoded(self, result: Any) -> Any:
        try:
            return self._signature.output.encode(result)
        except (TypeError, ValueError, OverflowError) as error:
            name = self.router.pipeline.name
            raise StageError(f"pipeline {name!r} returned what does not fit its annotation: {error}") from error

    def _check_model(self, model: str, version: str) -> None:
        if model != self.router.pipeline.name:
            raise NotFoundError(f"no model {model!r}; this server has: {self.router.pipeline.name}")
        if version not in {"", VERSION}:
            raise NotFoundError(f"model {model!r} has no version {version!r}; it has: {VERSION}")

"""What a gateway does, whatever carries the requests: it finds the model, decodes, runs it, encodes.

What a client sent wrong is found here, and raised as an error that names the field; it reaches no worker.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heterosis import __version__
from heterosis.control.canary import Trial
from heterosis.serving.gateway.description import config_of, metadata_of, statistics_of
from heterosis.serving.gateway.responses import response_of
from heterosis.serving.metrics import Metrics
from heterosis.serving.models import Model, State
from heterosis.serving.protocol import InferRequest, InferResponse, ModelMetadata, Parameters, ServerMetadata
from heterosis.serving.protocol.configuration import ModelConfig
from heterosis.serving.protocol.parameters import class_of
from heterosis.serving.protocol.repository import IndexEntry, canary_of, max_batch_of
from heterosis.serving.protocol.shared_memory import SharedMemory
from heterosis.serving.protocol.statistics import ModelStatistics
from heterosis.serving.repository import Repository
from heterosis.serving.status import StatusBoard
from heterosis.terms.errors import HeterosisError, InvalidInputError, NotFoundError, StageError, UnavailableError

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "generate",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
    "system_shared_memory",
)
NAME = "heterosis"
MAX_BODY_BYTES = 64 << 20


class Gateway:
    """The operations of the protocol on a repository of models; each raises a HeterosisError where it cannot."""

    def __init__(
        self,
        repository: Repository,
        metrics: Metrics,
        *,
        name: str = NAME,
        shared_memory: bool = True,
        max_body_bytes: int = MAX_BODY_BYTES,
        board: StatusBoard | None = None,
    ) -> None:
        """Stand in front of a repository. ``name`` is what the server says its name is, ``board`` tells its status."""
        self.repository = repository
        self.metrics = metrics
        self.shared = SharedMemory(enabled=shared_memory)
        self.max_body_bytes = max_body_bytes
        self.board = board
        self.draining = False
        self._name = name

    # --- health

    def check_ready(self) -> None:
        """Raise UnavailableError while requests cannot be served."""
        self._check_not_draining()
        models = self.repository.models()
        if not models:
            raise UnavailableError("no model is loaded")
        for model in models:
            _check_ready(model)

    def check_model_ready(self, name: str, version: str = "") -> None:
        """Raise UnavailableError while the model cannot be served, NotFoundError where there is none."""
        self._check_not_draining()
        _check_ready(self.repository.get(name, version))

    # --- what there is

    def server_metadata(self) -> ServerMetadata:
        """Name the server and the extensions that it speaks."""
        return ServerMetadata(name=self._name, version=__version__, extensions=EXTENSIONS)

    def model_metadata(self, name: str, version: str = "") -> ModelMetadata:
        """Describe a model's inputs and outputs."""
        model = self.repository.get(name, version)
        return metadata_of(model, [each.version for each in self.repository.models() if each.name == name])

    def model_config(self, name: str, version: str = "") -> ModelConfig:
        """Say how a model is served."""
        return config_of(self.repository.get(name, version))

    def statistics(self, name: str = "", version: str = "") -> list[ModelStatistics]:
        """Say what all models have done so far, or those of a name, or one version of it."""
        if not name:
            return [statistics_of(model) for model in self.repository.models()]
        found = self.repository.get(name, version)
        if version:
            return [statistics_of(found)]
        return [statistics_of(model) for model in self.repository.models() if model.name == name]

    # --- the repository

    def index(self, *, ready: bool = False) -> list[IndexEntry]:
        """List every version of every model, or those that are ready."""
        return [
            IndexEntry(name=each.name, version=each.version, state=each.state, reason=each.reason)
            for each in self.repository.index()
            if each.state is State.READY or not ready
        ]

    async def load(self, name: str, parameters: Parameters) -> None:
        """Load a model, or load it anew; return when it is ready."""
        max_batch, share = max_batch_of(name, parameters), canary_of(name, parameters)
        trial = None if share is None else msgspec.structs.replace(self.repository.trial or Trial(), share=share)
        self._check_not_draining()
        try:
            await self.repository.load(name, max_batch=max_batch, trial=trial)
        except NotFoundError as error:
            raise NotFoundError(f"failed to load {name!r}: {error}") from error
        except HeterosisError as error:
            raise UnavailableError(f"failed to load {name!r}: {error}") from error

    async def unload(self, name: str) -> None:
        """Unload a model, once what it has in progress is answered."""
        self._check_not_draining()
        await self.repository.unload(name)

    # --- inference

    def model(self, name: str, version: str = "") -> Model:
        """Find the model that a request is for, before it is read any further."""
        if self.draining:
            self._check_not_draining()
        return self.repository.turn(name, version)

    async def infer(self, model: Model, asked: InferRequest, timeout_ms: float | None = None) -> InferResponse:
        """Run a model on a client's tensors. Past the timeout it ends with a DeadlineError."""
        values, left_ms, request_class = await self._decoded(model, asked, timeout_ms)
        if model.streams:
            raise InvalidInputError(
                f"model {model.name!r} has any number of results for a request; ask for them by ModelStreamInfer over "
                "gRPC, or generate_stream over HTTP"
            )
        rollout = self.repository.rollout_of(model) if model.on_trial else None
        try:
            result = await model.infer(values, timeout_ms=left_ms, request_class=request_class)
        except (StageError, UnavailableError):
            if rollout is None:
                raise
            model = rollout.former  # that a version is on trial is no client's trouble
            result = await model.infer(values, timeout_ms=left_ms, request_class=request_class)
        else:
            if rollout is not None:
                rollout.served(values, result, request_class)
        return response_of(model, asked, result)

    async def stream(
        self,
        model: Model,
        asked: InferRequest,
        sink: Callable[[InferResponse], Awaitable[object]],
        timeout_ms: float | None = None,
    ) -> None:
        """Run a model on a client's tensors, and give each of its results to the sink as it comes."""
        values, left_ms, request_class = await self._decoded(model, asked, timeout_ms)

        async def give(result: object) -> None:
            await sink(response_of(model, asked, result))

        result = await model.infer(values, timeout_ms=left_ms, request_class=request_class, sink=give)
        if not model.streams:
            await give(result)

    async def _decoded(
        self, model: Model, asked: InferRequest, timeout_ms: float | None
    ) -> tuple[dict[str, Any], float | None, str]:
        """Check and decode a request; return what is left of the time, and its class, too."""
        arrived = time.monotonic()
        request_class = class_of(asked.parameters)
        if model.state is not State.READY:
            await model.available(timeout_ms)
        signature = model.signature
        asked.check_outputs(signature.output_names)
        if signature.slow_to_decode:
            values = await asyncio.to_thread(signature.decode, asked.inputs)
        else:
            values = signature.decode(asked.inputs)
        took_s = time.monotonic() - arrived
        model.statistics.decode.add(took_s)
        return values, None if timeout_ms is None else max(0.0, timeout_ms - took_s * 1e3), request_class

    def close(self) -> None:
        """Let go of clients' shared memory."""
        self.shared.close()

    def _check_not_draining(self) -> None:
        if self.draining:
            raise UnavailableError("the server is stopping")


def _check_ready(model: Model) -> None:
    if not model.ready:
        why = (
            f"is {model.reason or model.state.lower()}"
            if model.state is not State.READY
            else ("has a stage without an instance that is ready")
        )
        raise UnavailableError(f"model {model.name!r} {why}")

"""What the server and its models are and have done, and what can be done with them."""

from typing import Any

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.grpc.methods import Methods, message_of, unary
from heterosis.serving.protocol.grpc.stubs import inference_pb2 as pb
from heterosis.serving.protocol.messages import Parameters
from heterosis.serving.protocol.shared_memory import Region
from heterosis.serving.protocol.statistics import StatisticsAnswer


class Description:
    """Metadata, configuration and statistics."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "ServerMetadata": unary(self.server, pb.ServerMetadataRequest),
            "ModelMetadata": unary(self.model, pb.ModelMetadataRequest),
            "ModelConfig": unary(self.config, pb.ModelConfigRequest),
            "ModelStatistics": unary(self.statistics, pb.ModelStatisticsRequest),
        }

    async def server(self, _: Any) -> Any:
        """Name the server and its extensions."""
        return message_of(self._gateway.server_metadata(), pb.ServerMetadataResponse)

    async def model(self, request: Any) -> Any:
        """Describe a model's inputs and outputs."""
        return message_of(self._gateway.model_metadata(request.name, request.version), pb.ModelMetadataResponse)

    async def config(self, request: Any) -> Any:
        """Say how a model is served."""
        config = message_of(self._gateway.model_config(request.name, request.version), pb.ModelConfig)
        return pb.ModelConfigResponse(config=config)

    async def statistics(self, request: Any) -> Any:
        """Tell of all models, or of one."""
        found = StatisticsAnswer(model_stats=tuple(self._gateway.statistics(request.name, request.version)))
        return message_of(found, pb.ModelStatisticsResponse)


class Repository:
    """Lists, loads and unloads models."""

    def __init__(self, gateway: Gateway) -> None:
        """Ask this gateway."""
        self._gateway = gateway

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "RepositoryIndex": unary(self.index, pb.RepositoryIndexRequest),
            "RepositoryModelLoad": unary(self.load, pb.RepositoryModelLoadRequest),
            "RepositoryModelUnload": unary(self.unload, pb.RepositoryModelUnloadRequest),
        }

    async def index(self, request: Any) -> Any:
        """List models."""
        entries = [message_of(each, pb.RepositoryIndexResponse.ModelIndex) for each in self._index(request.ready)]
        return pb.RepositoryIndexResponse(models=entries)

    async def load(self, request: Any) -> Any:
        """Load a model; answer when it is ready."""
        parameters: Parameters = {
            name: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
            for name, value in request.parameters.items()
        }
        await self._gateway.load(request.model_name, parameters)
        return pb.RepositoryModelLoadResponse()

    async def unload(self, request: Any) -> Any:
        """Unload a model; answer when it is gone."""
        await self._gateway.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _index(self, ready: bool) -> list[Any]:  # noqa: FBT001 - as the message has it
        return list(self._gateway.index(ready=ready))


class SharedMemory:
    """Registers regions. CUDA has none, but clients may make sure of that."""

    def __init__(self, gateway: Gateway) -> None:
        """Keep the regions of this gateway."""
        self._shared = gateway.shared

    def methods(self) -> Methods:
        """List what is answered here."""
        return {
            "SystemSharedMemoryStatus": unary(self.status, pb.SystemSharedMemoryStatusRequest),
            "SystemSharedMemoryRegister": unary(self.register, pb.SystemSharedMemoryRegisterRequest),
            "SystemSharedMemoryUnregister": unary(self.unregister, pb.SystemSharedMemoryUnregisterRequest),
            "CudaSharedMemoryStatus": unary(self.no_regions, pb.CudaSharedMemoryStatusRequest),
            "CudaSharedMemoryUnregister": unary(self.nothing, pb.CudaSharedMemoryUnregisterRequest),
        }

    async def status(self, request: Any) -> Any:
        """List the regions."""
        response = pb.SystemSharedMemoryStatusResponse()
        for region in self._shared.status(request.name):
            response.regions[region.name].CopyFrom(message_of(region, pb.SystemSharedMemoryStatusResponse.RegionStatus))
        return response

    async def register(self, request: Any) -> Any:
        """Open a region."""
        self._shared.register(
            Region(name=request.name, key=request.key, offset=request.offset, byte_size=request.byte_size)
        )
        return pb.SystemSharedMemoryRegisterResponse()

    async def unregister(self, request: Any) -> Any:
        """Forget a region, or all."""
        self._shared.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def no_regions(self, _: Any) -> Any:
        """List no CUDA regions."""
        return pb.CudaSharedMemoryStatusResponse()

    async def nothing(self, _: Any) -> Any:
        """There is nothing to unregister."""
        return pb.CudaSharedMemoryUnregisterResponse()

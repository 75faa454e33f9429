"""NVIDIA's TensorRT: runs ``.plan`` files, engines that were built for this very kind of GPU and version.

Written against TensorRT 10's Python API and cuda-python; exercised here with stand-ins for both, on no GPU.
"""

from pathlib import Path
from typing import Any

import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import TensorSpec
from heterosis.terms.errors import EngineError


class TensorrtEngine:
    """Loads engines; threads are the GPU's own affair."""

    name = "tensorrt"

    def load(self, artifact: Path, threads: int) -> "TensorrtSession":  # noqa: ARG002 - the GPU has its own
        """Load an engine; see `Engine.load`."""
        check_file(artifact)
        try:
            import tensorrt
            from cuda.bindings import runtime
        except ImportError as error:
            raise EngineError(f"TensorRT is not usable here ({error}); pip install heterosis[tensorrt]") from error
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        engine = tensorrt.Runtime(logger).deserialize_cuda_engine(artifact.read_bytes())
        if engine is None:
            raise EngineError(
                f"tensorrt cannot load {artifact}: it was built for another GPU or version; build the variants again"
            )
        return TensorrtSession(artifact, engine, tensorrt, runtime)


class TensorrtSession:
    """An engine ready to run, with one stream, and memory on the device that grows with the largest batch so far."""

    def __init__(self, artifact: Path, engine: Any, tensorrt: Any, runtime: Any) -> None:
        """Read what the engine takes and gives."""
        self.artifact = artifact
        self._runtime = runtime
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        given = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]

        def spec(name: str) -> TensorSpec:
            dtype = np.dtype(tensorrt.nptype(engine.get_tensor_dtype(name))).name
            return TensorSpec(name=name, dtype=dtype, shape=tuple(engine.get_tensor_shape(name)))

        self.inputs = tuple(spec(name) for name in given)
        self.outputs = tuple(spec(name) for name in names if name not in given)
        self._context: Any = engine.create_execution_context()
        self._stream = self._done(runtime.cudaStreamCreate())
        self._memory: dict[str, tuple[int, int]] = {}

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`."""
        context, cuda = self._context, self._runtime
        if context is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        for spec in self.inputs:
            array = np.ascontiguousarray(inputs[spec.name])
            if not context.set_input_shape(spec.name, array.shape):
                raise EngineError(f"{self.artifact}: {spec.name!r} of {array.shape} is outside what it was built for")
            to = self._room(spec.name, array.nbytes)
            kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
            self._done(cuda.cudaMemcpyAsync(to, array.ctypes.data, array.nbytes, kind, self._stream))
        outputs = {spec.name: np.empty(tuple(context.get_tensor_shape(spec.name)), spec.dtype) for spec in self.outputs}
        for name, array in outputs.items():
            self._room(name, array.nbytes)
        if not context.execute_async_v3(self._stream):
            raise EngineError(f"tensorrt failed on {self.artifact}; its log says why")
        for name, array in outputs.items():
            kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
            self._done(cuda.cudaMemcpyAsync(array.ctypes.data, self._memory[name][0], array.nbytes, kind, self._stream))
        self._done(cuda.cudaStreamSynchronize(self._stream))
        return outputs

    def close(self) -> None:
        """Give the device's memory back."""
        if self._context is None:
            return
        self._context = None
        for address, _ in self._memory.values():
            self._done(self._runtime.cudaFree(address))
        self._memory.clear()
        self._done(self._runtime.cudaStreamDestroy(self._stream))

    def _room(self, name: str, size: int) -> int:
        """Return where a tensor of so many bytes lies on the device, and tell the engine."""
        address, had = self._memory.get(name, (0, -1))
        if had < size:
            if had >= 0:
                self._done(self._runtime.cudaFree(address))
            address = self._done(self._runtime.cudaMalloc(max(size, 1)))
            self._memory[name] = address, size
        self._context.set_tensor_address(name, address)
        return address

    def _done(self, answer: tuple[Any, ...]) -> Any:
        """Return what a call of CUDA gave. Raise EngineError where it failed."""
        error, *values = answer
        if error != self._runtime.cudaError_t.cudaSuccess:
            raise EngineError(f"{self.artifact}: CUDA failed: {error}")
        return values[0] if values else None

"""AMD's DPUs (Vitis AI): runs ``.xmodel`` files, compiled for one kind of DPU by ``vai_c_xir``.

By the graph runner of the Vitis AI library, which runs what the compiler left to the CPU, too; VART itself runs one
subgraph of the DPU (UG1414, "Vitis AI Runtime"). An xmodel takes batches of just one size, mostly a single item, and
holds images with the channels last; here it takes batches of any size, in the layout and under the names of the model
that it was made of. These stand in a ``.json`` file beside it. What the DPU holds as 8-bit integers with a binary point
is float32 at the door.

Exercised here with stand-ins for both libraries, on no DPU.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError

Array = np.ndarray[Any, Any]


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What the model takes and gives, in the order of its author: the file beside an xmodel."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @staticmethod
    def beside(artifact: Path) -> Path:
        """Return where it stands."""
        return artifact.with_suffix(".json")


class VitisaiEngine:
    """Loads compiled models; threads are the DPU's own affair."""

    name = "vitis-ai"

    def load(self, artifact: Path, threads: int) -> "VitisaiSession":  # noqa: ARG002 - the DPU has its own
        """Load an xmodel; see `Engine.load`."""
        check_file(artifact)
        check_file(Ports.beside(artifact))
        try:
            import vitis_ai_library
            import xir
        except ImportError as error:
            raise EngineError(
                f"no DPU is usable here ({error}); xir and vitis_ai_library come with the image of the board, or with "
                "Vitis AI's packages for it (https://xilinx.github.io/Vitis-AI)"
            ) from error
        try:
            ports = msgspec.json.decode(Ports.beside(artifact).read_bytes(), type=Ports)
            graph = xir.Graph.deserialize(str(artifact))
            return VitisaiSession(artifact, ports, graph, vitis_ai_library.GraphRunner.create_graph_runner(graph))
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"vitis-ai cannot load {artifact}: {error}; it may have been compiled for another DPU"
            ) from error


class VitisaiSession:
    """An xmodel ready to run, and the buffers that it reads and writes."""

    def __init__(self, artifact: Path, ports: Ports, graph: Any, runner: Any) -> None:
        """Find the buffer of each input and output."""
        self.artifact = artifact
        self.inputs = ports.inputs
        self.outputs = ports.outputs
        self._graph = graph  # the runner does not keep it alive by itself
        self._runner: Any = runner
        self._given = [_Buffer(spec, self._find(spec, runner.get_inputs())) for spec in self.inputs]
        self._made = [_Buffer(spec, self._find(spec, runner.get_outputs())) for spec in self.outputs]

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run one batch, in as many of the DPU's own size as it takes; see `Session.run`."""
        runner = self._runner
        if runner is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        items, at_once = len(inputs[self.inputs[0].name]), self._given[0].items
        parts: dict[str, list[Array]] = {buffer.spec.name: [] for buffer in self._made}
        for first in range(0, items, at_once):
            for buffer in self._given:
                buffer.write(inputs[buffer.spec.name][first : first + at_once])
            try:
                job = runner.execute_async([each.raw for each in self._given], [each.raw for each in self._made])
                runner.wait(job)
            except (RuntimeError, ValueError) as error:
                raise EngineError(f"vitis-ai failed on {self.artifact}: {error}") from error
            for buffer in self._made:
                parts[buffer.spec.name].append(buffer.read(min(at_once, items - first)))
        return {name: np.concatenate(of_one) for name, of_one in parts.items()}

    def close(self) -> None:
        """Drop the runner and its buffers; their memory goes with them."""
        self._runner = self._graph = None
        self._given, self._made = [], []

    def _find(self, spec: TensorSpec, buffers: list[Any]) -> Any:
        """Return the buffer of a tensor: the compiler keeps its name, and appends to it (``_fix``)."""
        called = [each for each in buffers if each.get_tensor().name.startswith(spec.name)]
        found = buffers if len(buffers) == 1 else sorted(called, key=lambda each: len(each.get_tensor().name))
        if not found:
            names = ", ".join(each.get_tensor().name for each in buffers)
            raise EngineError(f"{self.artifact}: it has no {spec.name!r}, but {names}; build the variants again")
        return found[0]


class _Buffer:
    """Memory that the DPU reads or writes, and how what lies in it stands for a tensor of the model."""

    def __init__(self, spec: TensorSpec, raw: Any) -> None:
        tensor = raw.get_tensor()
        self.spec = spec
        self.raw = raw
        self.items: int = tensor.dims[0]
        integers = np.asarray(raw).dtype.kind in "iu"
        self._scale = 2.0 ** tensor.get_attr("fix_point") if integers and tensor.has_attr("fix_point") else None
        # XIR holds images so, whatever the model does.
        moved = TensorSpec(name=spec.name, dtype=spec.dtype, shape=(DYNAMIC, *spec.shape[2:], *spec.shape[1:2]))
        self._channels_last = len(spec.shape) > 2 and moved.admits(tuple(tensor.dims))  # noqa: PLR2004 - with channels

    def write(self, array: Array) -> None:
        """Fill it with as many items as there are; whatever is left of others before computes for nothing."""
        memory = np.asarray(self.raw)
        held = np.moveaxis(array, 1, -1) if self._channels_last else array
        if self._scale is not None:
            limits = np.iinfo(memory.dtype)
            held = np.clip(np.round(held * self._scale), limits.min, limits.max)
        memory[: len(array)] = held.reshape(len(array), *memory.shape[1:])

    def read(self, items: int) -> Array:
        """Return so many items."""
        memory = np.asarray(self.raw)[:items]
        found = memory if self._scale is None else memory / np.float32(self._scale)
        if self._channels_last:
            found = np.moveaxis(found, -1, 1)
        return np.array(found, self.spec.dtype)

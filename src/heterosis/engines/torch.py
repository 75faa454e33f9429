"""PyTorch on the CPU: runs exported programs, ``.pt2`` files as `torch.export.save` writes them.

Pickled modules (``.pt``, ``.pth``) are code, which runs as it is loaded: they are not read here; export them.
PyTorch has one pool of threads for the whole process, so the last model loaded decides on its size.
"""

from pathlib import Path
from typing import Any

import numpy as np

from heterosis.engines.checking import check_file, check_inputs
from heterosis.engines.engine import Tensors
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError


class TorchEngine:
    """Loads exported programs with PyTorch, to run as they are, uncompiled."""

    name = "torch"

    def load(self, artifact: Path, threads: int) -> "TorchSession":
        """Load an exported program; see `Engine.load`."""
        check_file(artifact)
        try:
            import torch
        except ImportError as error:
            raise EngineError(f"PyTorch is not usable here ({error}); pip install heterosis[torch]") from error
        if threads:
            torch.set_num_threads(threads)
        try:
            return TorchSession(artifact, torch.export.load(str(artifact)))
        except Exception as error:
            raise EngineError(f"torch cannot load {artifact}: {error}") from error


class TorchSession:
    """An exported program ready to run."""

    def __init__(self, artifact: Path, program: Any) -> None:
        """Read what the program takes and gives from the nodes of its graph."""
        self.artifact = artifact
        nodes = {node.name: node for node in program.graph.nodes}
        signature = program.graph_signature
        self.inputs = tuple(_spec(nodes[name]) for name in signature.user_inputs)
        self.outputs = tuple(_spec(nodes[name]) for name in signature.user_outputs)
        self._module: Any = program.module()

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch; see `Session.run`. The outputs are copies, safe from the next run."""
        if self._module is None:
            raise EngineError(f"{self.artifact}: the session is closed")
        check_inputs(inputs, self.inputs, self.artifact)
        import torch
        from torch.utils._pytree import tree_leaves

        # PyTorch takes neither read-only arrays nor negative strides.
        given = [torch.from_numpy(np.require(inputs[spec.name], requirements=["C", "W"])) for spec in self.inputs]
        try:
            with torch.inference_mode():
                leaves = tree_leaves(self._module(*given))
        except Exception as error:
            raise EngineError(f"torch failed on {self.artifact}: {error}") from error
        return {spec.name: np.array(leaf.numpy()) for spec, leaf in zip(self.outputs, leaves, strict=True)}

    def close(self) -> None:
        """Drop the program; its memory goes with it."""
        self._module = None


def _spec(node: Any) -> TensorSpec:
    """Read an input or output; lengths that are symbols become -1."""
    example = node.meta["val"]
    shape = tuple(length if isinstance(length, int) else DYNAMIC for length in example.shape)
    return TensorSpec(name=node.name, dtype=str(example.dtype).removeprefix("torch."), shape=shape)

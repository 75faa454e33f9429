"""What every inference engine offers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from heterosis.terms import TensorSpec

Tensors = Mapping[str, np.ndarray[Any, Any]]
"""Named tensors, batch axis first."""


class Session(Protocol):
    """A model loaded and ready to run. Not safe for use by two threads at once."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Tensors) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch. Raise EngineError, naming the tensor, where an input is missing or does not fit."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


class Engine(Protocol):
    """One inference library."""

    name: str

    def load(self, artifact: Path, threads: int) -> Session:
        """Load an artifact for so many threads (0: the library's own default).

        Threads run on the cores that the process may use, so a caller pins by setting its own affinity first. Raise
        EngineError where the library is missing (naming the extra to install) or refuses the file (naming it).
        """
        ...

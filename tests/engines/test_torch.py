"""Of PyTorch, as far as it goes without: with a stand-in for its modules of the same shape as the real ones."""

import contextlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heterosis.engines import ENGINES
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError


class Symbol:
    """A length that is not known."""


def node(name: str, shape: tuple[object, ...]) -> SimpleNamespace:
    """Return a node of an exported graph."""
    return SimpleNamespace(name=name, meta={"val": SimpleNamespace(shape=shape, dtype="torch.float32")})


class Leaf:
    """A tensor."""

    def __init__(self, array: np.ndarray) -> None:
        """Hold numbers."""
        self.array = array

    def numpy(self) -> np.ndarray:
        """Return what it shares its memory with."""
        return self.array


class Program:
    """An exported program that adds up the rows of its input, into the same memory each time."""

    graph = SimpleNamespace(nodes=[node("x", (Symbol(), 3)), node("sum_1", (Symbol(),))])
    graph_signature = SimpleNamespace(user_inputs=("x",), user_outputs=("sum_1",))

    def module(self) -> Any:
        """Return what runs."""
        buffer = np.zeros(4, np.float32)

        def run(x: np.ndarray) -> Leaf:
            assert x.flags.writeable
            assert x.flags.c_contiguous
            buffer[: len(x)] = x.sum(axis=1)
            return Leaf(buffer[: len(x)])

        return run


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the stand-in was told to use."""
    told: list[int] = []
    torch = ModuleType("torch")

    def load(path: str) -> Program:
        if Path(path).read_bytes() != b"program":
            raise RuntimeError("PytorchStreamReader failed")
        return Program()

    torch.__dict__.update(
        export=SimpleNamespace(load=load),
        set_num_threads=told.append,
        from_numpy=lambda array: array,
        inference_mode=contextlib.nullcontext,
    )
    pytree = ModuleType("torch.utils._pytree")
    pytree.__dict__.update(tree_leaves=lambda result: [result])
    for module in (torch, ModuleType("torch.utils"), pytree):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return told


def test_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyTorch the error says what to install."""
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "model.pt2").touch()
    with pytest.raises(EngineError, match=r"pip install heterosis\[torch\]"):
        ENGINES["torch"].load(tmp_path / "model.pt2", threads=1)


def test_an_exported_program_runs(tmp_path: Path, threads: list[int]) -> None:
    """Names and shapes are the graph's, any memory layout is taken, and outputs outlive the next run."""
    (tmp_path / "model.pt2").write_bytes(b"program")
    session = ENGINES["torch"].load(tmp_path / "model.pt2", threads=2)
    assert threads == [2]
    assert session.inputs == (TensorSpec(name="x", dtype="float32", shape=(DYNAMIC, 3)),)
    assert session.outputs == (TensorSpec(name="sum_1", dtype="float32", shape=(DYNAMIC,)),)
    given = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    given.setflags(write=False)
    first = session.run({"x": given})["sum_1"]
    session.run({"x": np.zeros((2, 3), np.float32)})
    np.testing.assert_array_equal(first, given.sum(axis=1))
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.run({"x": given})


def test_unreadable_file_is_named(tmp_path: Path, threads: list[int]) -> None:
    """A file that is no program is refused by its path."""
    (tmp_path / "model.pt2").write_bytes(b"no program")
    with pytest.raises(EngineError, match=r"torch cannot load .*model\.pt2: PytorchStreamReader failed"):
        ENGINES["torch"].load(tmp_path / "model.pt2", threads=0)
    assert threads == []

"""Recipes whose tools are not here: exercised with stand-ins that take the same arguments."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heterosis.engines import ENGINES
from heterosis.terms.errors import EngineError
from heterosis.variants.recipe import Items, Unsuited
from heterosis.variants.recipes import RECIPES
from tests.tflite_models import TfliteModel

Write = Callable[..., Path]

ONNX2TF = """#!{python}
import shutil, sys
from pathlib import Path

if "--version" in sys.argv:
    sys.exit(print("1.0"))
out = Path(sys.argv[sys.argv.index("-o") + 1])
assert Path(sys.argv[sys.argv.index("-i") + 1]).is_file()
assert sys.argv[sys.argv.index("-kat") + 1] == "tile"
out.mkdir()
for kind in ("float32", "float16", *(("integer_quant", "full_integer_quant") if "-oiqt" in sys.argv else ())):
    shutil.copy("{model}", out / f"big_{{kind}}.tflite")
"""
COMPILER = """#!{python}
import shutil, sys
from pathlib import Path

if "--version" in sys.argv:
    sys.exit(print("16.0"))
if "{fails}":
    sys.exit("Model not quantized")
source = Path(sys.argv[-1])
shutil.copy(source, Path(sys.argv[sys.argv.index("-o") + 1]) / f"{{source.stem}}_edgetpu.tflite")
"""


@pytest.fixture
def model(write_pipeline: Write, tmp_path: Path) -> Path:
    """A classifier of tiles."""
    return write_pipeline(tmp_path / "pipeline", truth=False).with_name("big.onnx")


@pytest.fixture
def items() -> Items:
    """Inputs of the model."""
    return [{"tile": np.ones((1, 3, 16, 16), np.float32)} for _ in range(2)]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts stand-ins of the programs on the PATH; returns where they are."""

    def put(fails: str = "") -> Path:
        made = TfliteModel()
        made.tensor("x", (-1, 3, 16, 16))
        made.tensor("y", (-1, 3, 16, 16))
        made.operator("Add", ["x", "x"], "y")
        path = made.write(tmp_path / "converted.tflite", {"made_up": "x"}, {"Identity": "y"})
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in (("onnx2tf", ONNX2TF), ("edgetpu_compiler", COMPILER)):
            (folder / name).write_text(text.format(python=sys.executable, model=path, fails=fails))
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return put


@pytest.mark.parametrize("recipe", ["litert-of-onnx", "litert-int8-of-onnx"])
def test_litert_models_of_onnx_keep_the_names(
    recipe: str, model: Path, items: Items, tools: Callable[..., Path], tmp_path: Path
) -> None:
    """What onnx2tf calls inputs and outputs is replaced by the model's own names."""
    assert "onnx2tf is not on the PATH" in RECIPES[recipe].lacking()
    tools()
    assert RECIPES[recipe].lacking() == ""
    assert RECIPES[recipe].made_with()["onnx2tf"] == "1.0"
    make = RECIPES[recipe].make
    assert make is not None
    make(model, items, tmp_path)
    session = ENGINES["litert"].load(tmp_path / "model.tflite", threads=1)
    assert [spec.name for spec in (*session.inputs, *session.outputs)] == ["tile", "scores"]
    np.testing.assert_allclose(session.run(items[0])["scores"], 2)


def test_edge_tpu_models_are_compiled(
    model: Path, items: Items, tools: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model in 8 bits throughout; without a device the engine says what is missing."""
    assert "edgetpu_compiler is not on the PATH; install it" in RECIPES["edgetpu"].lacking()
    tools()
    make = RECIPES["edgetpu"].make
    assert make is not None
    make(model, items, tmp_path)
    (artifact,) = RECIPES["edgetpu"].artifacts
    with pytest.raises(EngineError, match="no Edge TPU is usable here"):
        ENGINES["edgetpu"].load(tmp_path / artifact, threads=1)
    asked: list[str] = []

    def delegates(_self: object) -> list[object]:
        asked.append("device")
        return []

    monkeypatch.setattr("heterosis.engines.edgetpu.EdgetpuEngine._delegates", delegates)
    session = ENGINES["edgetpu"].load(tmp_path / artifact, threads=1)
    assert asked == ["device"]
    assert [spec.name for spec in session.inputs] == ["tile"]


def test_what_the_compiler_says_is_told(model: Path, items: Items, tools: Callable[..., Path], tmp_path: Path) -> None:
    """It is why the model cannot be had."""
    tools(fails="yes")
    make = RECIPES["edgetpu"].make
    assert make is not None
    with pytest.raises(Unsuited, match="status 1: Model not quantized"):
        make(model, items, tmp_path)


class Gpu:
    """What TensorRT and CUDA are asked for; an engine doubles its input."""

    def __init__(self) -> None:
        """Start with no memory in use."""
        self.memory: dict[int, np.ndarray[Any, Any]] = {}
        self.free = itertools.count(1000)
        self.flags: list[str] = []
        self.shapes: tuple[Any, ...] = ()
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def tensorrt(self) -> ModuleType:
        """Return the stand-in of the module."""
        module = ModuleType("tensorrt")
        network = SimpleNamespace(num_inputs=1, get_input=lambda _: SimpleNamespace(name="tile", shape=(-1, 3, 16, 16)))
        builder = SimpleNamespace(
            create_network=lambda _: network,
            create_builder_config=lambda: SimpleNamespace(
                set_flag=self.flags.append, add_optimization_profile=lambda _: 0
            ),
            create_optimization_profile=lambda: SimpleNamespace(set_shape=self._set_shape),
            build_serialized_network=lambda *_: b"plan",
        )
        parser = SimpleNamespace(parse_from_file=lambda path: Path(path).is_file())
        module.__dict__.update(
            Logger=type("Logger", (), {"ERROR": 1, "__init__": lambda *_: None}),
            Builder=lambda _: builder,
            OnnxParser=lambda *_: parser,
            BuilderFlag=SimpleNamespace(FP16="fp16"),
            TensorIOMode=SimpleNamespace(INPUT="in"),
            nptype=np.dtype,
            Runtime=lambda _: SimpleNamespace(deserialize_cuda_engine=self._engine),
        )
        return module

    def runtime(self) -> ModuleType:
        """Return the stand-in of ``cuda.bindings.runtime``."""
        module = ModuleType("cuda.bindings.runtime")
        module.__dict__.update(
            cudaError_t=SimpleNamespace(cudaSuccess=0),
            cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out"),
            cudaStreamCreate=lambda: (0, 7),
            cudaStreamSynchronize=lambda _: (0,),
            cudaStreamDestroy=lambda _: (0,),
            cudaMalloc=self._malloc,
            cudaFree=lambda address: (0 if self.memory.pop(address, None) is not None else 1,),
            cudaMemcpyAsync=self._copy,
        )
        return module

    def _set_shape(self, *shapes: Any) -> None:
        self.shapes = shapes

    def _engine(self, plan: bytes) -> Any:
        if plan != b"plan":
            return None
        modes = {"tile": "in", "scores": "out"}
        context = SimpleNamespace(
            set_input_shape=self._set_input_shape,
            get_tensor_shape=lambda _: self.shape,
            set_tensor_address=self.addresses.__setitem__,
            execute_async_v3=self._execute,
        )
        return SimpleNamespace(
            num_io_tensors=2,
            get_tensor_name=list(modes).__getitem__,
            get_tensor_mode=modes.__getitem__,
            get_tensor_dtype=lambda _: "float32",
            get_tensor_shape=lambda _: (-1, 3, 16, 16),
            create_execution_context=lambda: context,
        )

    def _set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return shape[0] <= 32

    def _malloc(self, size: int) -> tuple[int, int]:
        address = next(self.free)
        self.memory[address] = np.zeros(size, np.uint8)
        return 0, address

    def _copy(self, to: int, source: int, size: int, kind: str, _stream: int) -> tuple[int]:
        import ctypes

        if kind == "in":
            ctypes.memmove(self.memory[to].ctypes.data, source, size)
        else:
            ctypes.memmove(to, self.memory[source].ctypes.data, size)
        return (0,)

    def _execute(self, _stream: int) -> bool:
        given = self.memory[self.addresses["tile"]].view(np.float32)
        self.memory[self.addresses["scores"]].view(np.float32)[: len(given)] = 2 * given
        return True


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A stand-in of a GPU, TensorRT and CUDA."""
    found = Gpu()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = found.runtime()  # type: ignore[attr-defined]
    for module in (found.tensorrt(), ModuleType("cuda"), bindings, bindings.runtime):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


def test_tensorrt_is_built_for_the_shapes_that_are_served(gpu: Gpu, model: Path, items: Items, tmp_path: Path) -> None:
    """From one item to the largest batch, in float16 where that is the variant."""
    assert "tensorrt is not installed; pip install heterosis[tensorrt]" in RECIPES["tensorrt-fp16"].lacking()
    for recipe, flags in (("tensorrt", []), ("tensorrt-fp16", ["fp16"])):
        make = RECIPES[recipe].make
        assert make is not None
        make(model, items, tmp_path)
        assert gpu.flags == flags
        assert gpu.shapes == ("tile", (1, 3, 16, 16), (1, 3, 16, 16), (32, 3, 16, 16))
        assert (tmp_path / "model.plan").read_bytes() == b"plan"


def test_tensorrt_runs_and_gives_the_memory_back(gpu: Gpu, tmp_path: Path) -> None:
    """Batches of any size up to that it was built for; a plan of another GPU is refused."""
    (tmp_path / "model.plan").write_bytes(b"plan")
    session = ENGINES["tensorrt"].load(tmp_path / "model.plan", threads=1)
    for batch in (1, 4, 2):
        given = np.random.default_rng(batch).normal(0, 1, (batch, 3, 16, 16)).astype(np.float32)
        np.testing.assert_allclose(session.run({"tile": given})["scores"], 2 * given)
    with pytest.raises(EngineError, match="outside what it was built for"):
        session.run({"tile": np.zeros((33, 3, 16, 16), np.float32)})
    session.close()
    session.close()
    assert gpu.memory == {}
    with pytest.raises(EngineError, match="closed"):
        session.run({"tile": given})
    (tmp_path / "other.plan").write_bytes(b"other")
    with pytest.raises(EngineError, match="built for another GPU or version"):
        ENGINES["tensorrt"].load(tmp_path / "other.plan", threads=1)


def test_without_tensorrt_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    (tmp_path / "model.plan").touch()
    with pytest.raises(EngineError, match=r"pip install heterosis\[tensorrt\]"):
        ENGINES["tensorrt"].load(tmp_path / "model.plan", threads=1)

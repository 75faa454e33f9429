"""AMD's DPUs: made and run with stand-ins for the compiler, its libraries and the DPU."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from heterosis.engines import ENGINES
from heterosis.terms.errors import EngineError
from heterosis.variants.recipe import Items, Unsuited
from heterosis.variants.recipes import RECIPES
from heterosis.variants.vitis_ai import quantise

Write = Callable[..., Path]
RECIPE = RECIPES["vitis-ai"]

COMPILER = """#!{python}
import sys
from pathlib import Path

if "--version" in sys.argv:
    sys.exit(print("3.5"))
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "{fails}":
    sys.exit(print("[UNILOG][FATAL] unsupported"))  # with status 0, like the real one
assert Path(given["-x"]).is_file() and Path(given["-a"]).name == "arch.json"
Path(given["-o"], given["-n"] + ".xmodel").write_bytes(b"xmodel")
"""
AT_ONCE = 2
FIX_POINT = 4


class Buffer:
    """A tensor buffer of VART: memory, and a tensor that describes it."""

    def __init__(self, name: str, memory: np.ndarray[Any, Any], fix_point: int | None) -> None:
        """Hold this memory."""
        self.memory = memory
        self._tensor = SimpleNamespace(
            name=name,
            dims=list(memory.shape),
            has_attr=lambda attribute: attribute == "fix_point" and fix_point is not None,
            get_attr=lambda _: fix_point,
        )

    def get_tensor(self) -> Any:
        """Describe it."""
        return self._tensor

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        """Return the memory itself."""
        return self.memory


class Dpu:
    """Holds pictures with the channels last, two at once, in 8 bits; its model doubles them."""

    def __init__(self) -> None:
        """Start idle."""
        self.runs = 0
        self.given = Buffer("tile_fix", np.zeros((AT_ONCE, 16, 16, 3), np.int8), FIX_POINT)
        self.mask = Buffer("mask_fix", np.zeros((AT_ONCE, 1), np.int8), 0)
        self.made = Buffer("scores_fix2float", np.zeros((AT_ONCE, 16, 16, 3), np.float32), None)

    def get_inputs(self) -> list[Buffer]:
        """List them, in an order of its own."""
        return [self.mask, self.given]

    def get_outputs(self) -> list[Buffer]:
        """List the one."""
        return [self.made]

    def execute_async(self, inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> tuple[int, int]:
        """Run."""
        assert [each.get_tensor().name for each in (*inputs, *outputs)] == ["tile_fix", "mask_fix", "scores_fix2float"]
        self.runs += 1
        self.made.memory[:] = 2 * self.given.memory.astype(np.float32) / 2**FIX_POINT
        return self.runs, 0

    def wait(self, job: tuple[int, int]) -> int:
        """Wait for it."""
        assert job[0] == self.runs
        return 0


@pytest.fixture
def dpu(monkeypatch: pytest.MonkeyPatch) -> Dpu:
    """A stand-in of a DPU and its libraries."""
    found = Dpu()
    xir, library = ModuleType("xir"), ModuleType("vitis_ai_library")

    def deserialize(path: str) -> str:
        if Path(path).read_bytes() != b"xmodel":
            raise RuntimeError("fingerprint mismatch")
        return path

    xir.__dict__["Graph"] = SimpleNamespace(deserialize=deserialize)
    library.__dict__["GraphRunner"] = SimpleNamespace(create_graph_runner=lambda _: found)
    for module in (xir, library):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


@pytest.fixture
def quark(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A stand-in of Quark, which leaves models as they are; returns what it was given."""
    given: list[Path] = []

    def quantize_model(source: str, made: str, reader: Any) -> None:
        given.append(Path(source))
        while reader.get_next() is not None:
            pass
        Path("quantized_info.csv").touch()
        Path(made).write_bytes(Path(source).read_bytes())

    module = ModuleType("quark.onnx")
    module.__dict__.update(
        XINT8_QCONFIG="xint8", ModelQuantizer=lambda _: SimpleNamespace(quantize_model=quantize_model)
    )
    monkeypatch.setitem(sys.modules, "quark", ModuleType("quark"))
    monkeypatch.setitem(sys.modules, "quark.onnx", module)
    return given


@pytest.fixture
def model(write_pipeline: Write, tmp_path: Path) -> Path:
    """A classifier of tiles."""
    return write_pipeline(tmp_path / "pipeline", truth=False).with_name("big.onnx")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a stand-in of the compiler on the PATH, and an arch.json into the environment."""

    def put(fails: str = "") -> None:
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "vai_c_xir"
        program.write_text(COMPILER.format(python=sys.executable, fails=fails))
        program.chmod(0o755)
        (tmp_path / "arch.json").write_text('{"target": "DPUCZDX8G_ISA1_B4096"}')
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.setenv("VITIS_AI_ARCH", str(tmp_path / "arch.json"))

    return put


def items(*shapes: tuple[int, ...]) -> Items:
    """Make inputs of these shapes."""
    draw = np.random.default_rng(1)
    return [{"tile": draw.normal(0, 1, shape).astype(np.float32)} for shape in shapes]


def make(source: Path, calibration: Items, folder: Path) -> None:
    """Follow the recipe."""
    assert RECIPE.make is not None
    RECIPE.make(source, calibration, folder)


def test_what_is_missing_is_said_first(
    compiler: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quantiser, the compiler, and which DPU it is for; another DPU is another variant."""
    assert RECIPE.lacking() == "amd-quark is not installed; pip install heterosis[vitis-ai]"
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.13")
    assert "vai_c_xir is not on the PATH; it is part of Vitis AI's image" in RECIPE.lacking()
    compiler()
    assert RECIPE.lacking() == ""
    first = RECIPE.made_with()
    assert first["vai_c_xir"] == "3.5"
    (tmp_path / "arch.json").write_text('{"target": "DPUCAHX8H_ISA2"}')
    assert RECIPE.made_with() != first
    monkeypatch.delenv("VITIS_AI_ARCH")
    assert "the environment variable VITIS_AI_ARCH names no file; set it to the arch.json of" in RECIPE.lacking()


def test_a_model_is_quantised_compiled_and_described(
    quark: list[Path], compiler: Callable[..., None], dpu: Dpu, model: Path, tmp_path: Path
) -> None:
    """For single items of the samples' shape; what is written says that it takes batches of any size."""
    compiler()
    make(model, items((1, 3, 16, 16), (1, 3, 16, 16)), tmp_path)
    (given,) = quark
    assert not Path("quantized_info.csv").exists(), "it goes with what else lies beside the artifact"
    (fixed,) = onnx.load(given).graph.input
    assert [axis.dim_value for axis in fixed.type.tensor_type.shape.dim] == [1, 3, 16, 16]
    dpu.get_inputs = lambda: [dpu.given]  # type: ignore[method-assign]
    session = ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    assert [(spec.name, spec.dtype, spec.shape) for spec in session.inputs] == [("tile", "float32", (-1, 3, 16, 16))]
    assert [spec.name for spec in session.outputs] == ["scores"]


def test_what_a_dpu_cannot_take_is_said(
    quark: list[Path], compiler: Callable[..., None], model: Path, tmp_path: Path
) -> None:
    """Lengths that vary, and what the compiler refuses, whatever status it ends with."""
    compiler(fails="yes")
    with pytest.raises(Unsuited, match="inputs of one shape, and 'tile' has 2 in the samples"):
        make(model, items((1, 3, 16, 16), (1, 3, 16, 32)), tmp_path)
    assert not quark
    with pytest.raises(Unsuited, match=r"vai_c_xir ended with status 0: \[UNILOG\]\[FATAL\] unsupported"):
        make(model, items((1, 3, 16, 16)), tmp_path)


PORTS = """{"inputs": [{"name": "tile", "dtype": "float32", "shape": [-1, 3, 16, 16]},
    {"name": "mask", "dtype": "float32", "shape": [-1, 1]}],
    "outputs": [{"name": "scores", "dtype": "float32", "shape": [-1, 3, 16, 16]}]}"""


def test_batches_of_any_size_run_in_the_models_own_layout(dpu: Dpu, tmp_path: Path) -> None:
    """In as many runs as they need, with the channels where the model has them, and saturating."""
    (tmp_path / "model.xmodel").write_bytes(b"xmodel")
    (tmp_path / "model.json").write_text(PORTS)
    session = ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    for batch, runs in ((1, 1), (2, 1), (5, 3)):
        dpu.runs = 0
        given = np.random.default_rng(batch).integers(-16, 16, (batch, 3, 16, 16)).astype(np.float32) / 2**FIX_POINT
        found = session.run({"tile": given, "mask": np.ones((batch, 1), np.float32)})["scores"]
        np.testing.assert_array_equal(found, 2 * given)
        assert dpu.runs == runs
    large = np.full((1, 3, 16, 16), 1e6, np.float32)
    assert session.run({"tile": large, "mask": np.ones((1, 1), np.float32)})["scores"].max() == 2 * 127 / 2**FIX_POINT
    with pytest.raises(EngineError, match="'tile' has shape"):
        session.run({"tile": np.zeros((1, 16, 16, 3), np.float32), "mask": np.ones((1, 1), np.float32)})
    session.close()
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.run({"tile": large, "mask": np.ones((1, 1), np.float32)})


def test_an_xmodel_of_another_dpu_or_no_dpu_at_all(dpu: Dpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which file, and what to do."""
    (tmp_path / "model.xmodel").write_bytes(b"other")
    with pytest.raises(EngineError, match=r"no model file .*model\.json; build the variants again"):
        ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    (tmp_path / "model.json").write_text(PORTS)
    with pytest.raises(EngineError, match="fingerprint mismatch; it may have been compiled for another DPU"):
        ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    (tmp_path / "model.xmodel").write_bytes(b"xmodel")
    (tmp_path / "model.json").write_text(PORTS.replace("tile", "picture"))
    with pytest.raises(EngineError, match="it has no 'picture', but mask_fix, tile_fix; build"):
        ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    monkeypatch.setitem(sys.modules, "xir", None)
    with pytest.raises(EngineError, match="no DPU is usable here"):
        ENGINES["vitis-ai"].load(tmp_path / "model.xmodel", threads=1)
    assert dpu.runs == 0


def test_quark_scales_by_powers_of_two(model: Path, tmp_path: Path) -> None:
    """As a DPU wants it; weights and activations are symmetric."""
    pytest.importorskip("quark.onnx", reason="Quark is not installed (extra vitis-ai)")
    quantise(model, items(*[(1, 3, 16, 16)] * 4), tmp_path / "made.onnx")
    graph = onnx.load(tmp_path / "made.onnx").graph
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    scaled = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert scaled
    for node in scaled:
        assert np.log2(values[node.input[1]]) % 1 == 0
        assert values[node.input[2]] == 0

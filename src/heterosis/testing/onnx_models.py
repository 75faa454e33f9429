"""Small ONNX models, written to files: those that the examples of Triton's clients are about, and others like them."""

from collections.abc import Sequence
from pathlib import Path

Tensor = tuple[str, str, Sequence[int | str]]
"""A name, a data type by ONNX' name for it, and a shape; text stands for a length that is open."""

Node = tuple[str, Sequence[str], Sequence[str]]
"""An operator, its inputs and its outputs."""

ROWS = ("rows", 16)


def write_model(path: Path, nodes: Sequence[Node], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Path:
    """Write a model of these nodes; the folder is made. ``Cast:INT32`` is a cast to that type."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, dtype: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.DataType.Value(dtype), list(shape))

    made = []
    for operator, given, gives in nodes:
        kind, _, to = operator.partition(":")
        attributes = {"to": TensorProto.DataType.Value(to)} if to else {}
        made.append(helper.make_node(kind, list(given), list(gives), **attributes))
    graph = helper.make_graph(made, path.stem, [value(*each) for each in inputs], [value(*each) for each in outputs])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def write_simple(path: Path) -> Path:
    """Sum and difference of two int32 tensors of 16 columns."""
    return write_model(
        path,
        [("Add", ("INPUT0", "INPUT1"), ("OUTPUT0",)), ("Sub", ("INPUT0", "INPUT1"), ("OUTPUT1",))],
        [(name, "INT32", ROWS) for name in ("INPUT0", "INPUT1")],
        [(name, "INT32", ROWS) for name in ("OUTPUT0", "OUTPUT1")],
    )


def write_simple_string(path: Path) -> Path:
    """The same of numbers that are written as text."""
    casts = [("Cast:INT32", (f"INPUT{n}",), (f"number{n}",)) for n in (0, 1)]
    return write_model(
        path,
        [
            *casts,
            ("Add", ("number0", "number1"), ("sum",)),
            ("Sub", ("number0", "number1"), ("difference",)),
            ("Cast:STRING", ("sum",), ("OUTPUT0",)),
            ("Cast:STRING", ("difference",), ("OUTPUT1",)),
        ],
        [(name, "STRING", ROWS) for name in ("INPUT0", "INPUT1")],
        [(name, "STRING", ROWS) for name in ("OUTPUT0", "OUTPUT1")],
    )


def write_simple_identity(path: Path) -> Path:
    """Text as it comes."""
    tensors: list[Tensor] = [(name, "STRING", ("rows", "columns")) for name in ("INPUT0", "OUTPUT0")]
    return write_model(path, [("Identity", ("INPUT0",), ("OUTPUT0",))], tensors[:1], tensors[1:])


def write_triton_examples(folder: Path) -> Path:
    """Write the models ``simple``, ``simple_string`` and ``simple_identity`` as a repository of Triton's layout."""
    write_simple(folder / "simple" / "1" / "model.onnx")
    write_simple_string(folder / "simple_string" / "1" / "model.onnx")
    write_simple_identity(folder / "simple_identity" / "1" / "model.onnx")
    return folder

"""What clients send to a pipeline and get back: tensors at the edge, Python values inside."""

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
import numpy as np

from heterosis.pipeline import edges
from heterosis.pipeline.edges import Edge
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import InvalidInputError, UsageError

OUTPUT = "output"


class Signature(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The edges of a pipeline: one for each parameter, and one for what it returns, or for each part of that.

    A function that returns a NamedTuple or a TypedDict has an output for each of its fields.
    """

    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    apart: bool = False
    """Whether what is returned is a mapping, or a tuple, of the outputs; else it is the one output."""

    @classmethod
    def of(cls, function: Callable[..., Any], samples: Sequence[Mapping[str, Any]]) -> "Signature":
        """Read the annotations; a bare ``numpy.ndarray`` takes its data type and shape from the samples."""
        declared = inspect.signature(function, eval_str=True)
        inputs = []
        for name, parameter in declared.parameters.items():
            values = [sample[name] for sample in samples if name in sample]
            edge = _edge(name, parameter.annotation, values)
            if edge is None:
                raise UsageError(
                    f"pipeline {function.__name__!r}: cannot tell what a client sends as {name!r} "
                    f"(annotated {parameter.annotation}); annotate it as heterosis.Image, str, bytes, int, float, "
                    "bool, list[str], or Annotated[numpy.ndarray, heterosis.Tensor(dtype, *shape)]"
                )
            inputs.append(edge)
        returned = _yielded(declared.return_annotation)
        fields = _fields(returned)
        outputs = (fields or {OUTPUT: returned}).items()
        return cls(
            inputs=tuple(inputs),
            outputs=tuple(_edge(name, of, ()) or edges.JsonEdge(spec=_bytes_spec(name)) for name, of in outputs),
            apart=fields is not None,
        )

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """Of the outputs, in order."""
        return tuple(edge.spec.name for edge in self.outputs)

    @functools.cached_property
    def slow_to_decode(self) -> bool:
        """Whether decoding a request takes so long that an event loop should leave it to a thread."""
        return any(isinstance(edge, edges.ImageEdge) for edge in self.inputs)

    def load(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Bring a sample's values into the form that the function takes (an image's path becomes its pixels)."""
        wanted = {edge.spec.name for edge in self.inputs}
        if wanted != set(values):
            raise UsageError(f"a sample has the inputs {sorted(values)}, but the pipeline takes {sorted(wanted)}")
        return {edge.spec.name: edge.load(values[edge.spec.name]) for edge in self.inputs}

    def decode(self, tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> dict[str, Any]:
        """Decode a client's tensors. Raise InvalidInputError, naming the input, where one is missing or unfit."""
        known = self._input_names
        if tensors.keys() != known:
            for name in tensors:
                if name not in known:
                    raise InvalidInputError(f"unknown input {name!r}; the inputs are: {', '.join(sorted(known))}")
            for name in known - tensors.keys():
                raise InvalidInputError(f"missing input {name!r}")
        values: dict[str, Any] = {}
        for edge in self.inputs:
            name = edge.spec.name
            values[name] = edge.decode(tensors[name])
        return values

    @functools.cached_property
    def _input_names(self) -> frozenset[str]:
        return frozenset(edge.spec.name for edge in self.inputs)

    def encode(self, result: Any) -> dict[str, "np.ndarray[Any, Any]"]:
        """Encode what the function returned. Raise TypeError or ValueError where it does not fit its annotation."""
        if not self.apart:
            (edge,) = self.outputs
            return {edge.spec.name: edge.encode(result)}
        parts = result if isinstance(result, Mapping) else result._asdict()
        found = {edge.spec.name: edge.encode(parts[edge.spec.name]) for edge in self.outputs if edge.spec.name in parts}
        if not len(parts) == len(found) == len(self.outputs):
            raise ValueError(f"it has the fields {sorted(parts)}, not {sorted(self.output_names)}")
        return found

    def decode_result(self, tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> Any:
        """Decode what a client got: what the function returned, fields as a dict. Raise InvalidInputError if unfit."""
        missing = [edge.spec.name for edge in self.outputs if edge.spec.name not in tensors]
        if missing:
            raise InvalidInputError(f"missing output {missing[0]!r}")
        parts = {edge.spec.name: edge.decode(tensors[edge.spec.name]) for edge in self.outputs}
        return parts if self.apart else parts[self.outputs[0].spec.name]


def _yielded(annotation: Any) -> Any:
    """What a function that is annotated as an iterator yields; any other annotation as it is."""
    iterators = (AsyncIterator, AsyncGenerator, AsyncIterable)
    return get_args(annotation)[0] if get_origin(annotation) in iterators else annotation


def _fields(annotation: Any) -> dict[str, Any] | None:
    """The fields of a NamedTuple or a TypedDict, with their annotations; None for anything else."""
    named = isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")
    return get_type_hints(annotation, include_extras=True) if named or is_typeddict(annotation) else None


def _bytes_spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, dtype="bytes", shape=shape or (1,))


def _edge(name: str, annotation: Any, values: Sequence[Any]) -> Edge | None:
    """The edge for an annotation; None where the annotation does not say."""
    if get_origin(annotation) is Annotated:
        for marker in get_args(annotation)[1:]:
            if isinstance(marker, Tensor):
                return edges.TensorEdge(spec=TensorSpec(name=name, dtype=marker.dtype, shape=marker.shape))
            if marker is IMAGE:
                return edges.ImageEdge(spec=_bytes_spec(name))
        annotation = get_args(annotation)[0]
    if annotation is np.ndarray or get_origin(annotation) is np.ndarray:
        return _edge_of_arrays(name, [np.asarray(value) for value in values])
    if annotation in edges.SCALARS:
        return edges.ScalarEdge(
            spec=TensorSpec(name=name, dtype=edges.SCALARS[annotation], shape=(1,)), type=annotation.__name__
        )
    if get_origin(annotation) is list and get_args(annotation)[0] in edges.SCALARS:
        (item,) = get_args(annotation)
        return edges.ListEdge(
            spec=TensorSpec(name=name, dtype=edges.SCALARS[item], shape=(DYNAMIC,)), type=item.__name__
        )
    return None


def _edge_of_arrays(name: str, arrays: Sequence["np.ndarray[Any, Any]"]) -> Edge | None:
    if not arrays:
        return None
    ranks, dtypes = {array.ndim for array in arrays}, {array.dtype.name for array in arrays}
    if len(ranks) > 1 or len(dtypes) > 1:
        raise UsageError(f"samples of {name!r} differ in rank {sorted(ranks)} or data type {sorted(dtypes)}")
    shape = tuple(
        lengths.pop() if len(lengths) == 1 else DYNAMIC
        for lengths in (set(axis) for axis in zip(*(array.shape for array in arrays), strict=True))
    )
    return edges.TensorEdge(spec=TensorSpec(name=name, dtype=dtypes.pop(), shape=shape))


class Tensor:
    """Marks an array parameter: ``Annotated[numpy.ndarray, Tensor("float32", -1, 16)]``; -1 is any length."""

    def __init__(self, dtype: str, *shape: int) -> None:
        """Take numpy's name of the data type, and the shape."""
        self.dtype = np.dtype(dtype).name
        self.shape = shape


class _ImageMarker:
    """Marks an image parameter."""


IMAGE = _ImageMarker()
Image = Annotated["np.ndarray[Any, np.dtype[np.uint8]]", IMAGE]
"""An image: height x width x 3, RGB, uint8. At the edge, an encoded image (one BYTES element) or a UINT8 tensor."""

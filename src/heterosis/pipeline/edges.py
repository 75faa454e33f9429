"""Kinds of values at the edge of a pipeline, each with its translation from and to a tensor."""

import functools
import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from heterosis.terms import TensorSpec
from heterosis.terms.errors import InvalidInputError

Array = np.ndarray[Any, Any]

SCALARS: dict[Any, str] = {str: "bytes", bytes: "bytes", int: "int64", float: "float64", bool: "bool"}
"""Python types that travel as one-element tensors (or, in a list, as one-dimensional ones), with the tensor's dtype."""

MAX_PIXELS = 64_000_000


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A named value at the edge. A tensor of dtype ``bytes`` is an object array of ``bytes``."""

    spec: TensorSpec

    def load(self, value: Any) -> Any:
        """Bring a sample's value into the form that the pipeline function takes."""
        return value

    def decode(self, tensor: Array) -> Any:
        """Translate a client's tensor. Raise InvalidInputError, naming the input, where it does not fit."""
        raise NotImplementedError

    def encode(self, value: Any) -> Array:
        """Translate a value into the tensor that a client sends or gets."""
        raise NotImplementedError

    def _check(self, tensor: Array) -> None:
        _check(self.spec, tensor.dtype, tensor.shape)


class TensorEdge(Edge, frozen=True, kw_only=True):
    """An array as it is."""

    def decode(self, tensor: Array) -> Any:
        """Check data type and shape."""
        self._check(tensor)
        return tensor

    def encode(self, value: Any) -> Array:
        """Give the array its data type."""
        return np.ascontiguousarray(value, dtype=self.spec.dtype)


class TextEdge(Edge, frozen=True, kw_only=True):
    """An array of text: bytes for clients, str inside."""

    def decode(self, tensor: Array) -> Any:
        """Decode every element."""
        self._check(tensor)
        text = np.empty(tensor.shape, object)
        text.reshape(-1)[:] = [_scalar(self.spec.name, element, "str") for element in tensor.reshape(-1)]
        return text

    def encode(self, value: Any) -> Array:
        """Encode every element."""
        text = np.asarray(value, object)
        tensor = np.empty(text.shape, object)
        tensor.reshape(-1)[:] = [_bytes(element) for element in text.reshape(-1)]
        return tensor


class ScalarEdge(Edge, frozen=True, kw_only=True):
    """One str, bytes, int, float or bool."""

    type: str

    def decode(self, tensor: Array) -> Any:
        """Take the one element."""
        self._check(tensor)
        return _scalar(self.spec.name, tensor[0], self.type)

    def encode(self, value: Any) -> Array:
        """Make a tensor of one element."""
        return _tensor([value], self.spec.dtype)


class ListEdge(Edge, frozen=True, kw_only=True):
    """A list of str, bytes, int, float or bool."""

    type: str

    def decode(self, tensor: Array) -> Any:
        """Make a list of the elements."""
        self._check(tensor)
        return [_scalar(self.spec.name, element, self.type) for element in tensor]

    def encode(self, value: Any) -> Array:
        """Make a one-dimensional tensor."""
        return _tensor(list(value), self.spec.dtype)


class JsonEdge(Edge, frozen=True, kw_only=True):
    """Anything else: one element, the value as JSON; arrays become nested lists."""

    def decode(self, tensor: Array) -> Any:
        """Parse the JSON text."""
        self._check(tensor)
        try:
            return msgspec.json.decode(tensor[0])
        except msgspec.DecodeError as error:
            raise InvalidInputError(f"input {self.spec.name!r} is not JSON: {error}") from None

    def encode(self, value: Any) -> Array:
        """Write the value as JSON."""
        return _tensor([msgspec.json.encode(value, enc_hook=_plain)], "bytes")


class ImageEdge(Edge, frozen=True, kw_only=True):
    """An image: encoded (PNG, JPEG …) as one element of bytes, or raw as a UINT8 tensor of height x width x 3."""

    def load(self, value: Any) -> Array:
        """Take pixels, the bytes of an encoded image, or the path of one."""
        if isinstance(value, np.ndarray):
            return value
        return self._decode_image(value if isinstance(value, bytes) else Path(value).read_bytes())

    def decode(self, tensor: Array) -> Array:
        """Decode an encoded image; check a raw one."""
        if tensor.dtype == np.uint8:
            if not TensorSpec(name="", dtype="uint8", shape=(-1, -1, 3)).admits(tensor.shape) or tensor.size == 0:
                raise InvalidInputError(
                    f"input {self.spec.name!r}: a raw image has the shape [height, width, 3], not {list(tensor.shape)}"
                )
            return tensor
        self._check(tensor)
        return self._decode_image(tensor[0])

    def encode(self, value: Any) -> Array:
        """Pass on the bytes of an encoded image (or file); encode pixels as PNG."""
        if isinstance(value, np.ndarray):
            from PIL import Image

            file = io.BytesIO()
            Image.fromarray(value).save(file, "PNG", compress_level=1)
            value = file.getvalue()
        elif not isinstance(value, bytes):
            value = Path(value).read_bytes()
        return _tensor([value], "bytes")

    def _decode_image(self, encoded: bytes) -> Array:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(encoded)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InvalidInputError(
                        f"input {self.spec.name!r}: an image of {image.width} x {image.height} pixels is too large; "
                        f"at most {MAX_PIXELS} pixels are taken"
                    )
                return np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InvalidInputError(f"input {self.spec.name!r} cannot be decoded as an image: {error}") from None


@functools.lru_cache(1024)
def _check(spec: TensorSpec, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> None:
    """Refuse what does not fit; what fitted once is not looked at again."""
    given = _name_of(dtype)
    if given != spec.dtype:
        raise InvalidInputError(f"input {spec.name!r} has data type {given}; it takes {spec.dtype}")
    if not spec.admits(shape):
        raise InvalidInputError(f"input {spec.name!r} has shape {list(shape)}; it takes {list(spec.shape)}")


@functools.lru_cache(256)
def _name_of(dtype: "np.dtype[Any]") -> str:
    """As `TensorSpec` has it; numpy puts the name together anew each time."""
    return "bytes" if dtype.kind == "O" else dtype.name


def _tensor(values: list[Any], dtype: str) -> Array:
    if dtype != "bytes":
        return np.array(values, dtype=dtype)
    tensor = np.empty(len(values), dtype=object)
    tensor[:] = [_bytes(value) for value in values]
    return tensor


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"text or bytes are wanted here, not a {type(value).__name__}")


def _scalar(name: str, element: Any, wanted: str) -> Any:
    if wanted == "bytes":
        return element
    if wanted == "str":
        try:
            return element.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"input {name!r} is not UTF-8 text: {error}") from None
    return element.item()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a pipeline returned a {type(value).__name__}, which has no form outside Python")

"""The outermost layer of a protobuf message, by hand: large ``bytes`` fields are taken out and put in without copies.

Source: protobuf.dev, "Encoding". A message is a row of fields, each a tag (number and wire type) and a value; which
field comes first says nothing, so what is left, when the tensors are taken out, is a message as well.
"""

from collections.abc import Sequence

from heterosis.serving.protocol.tensors import Buffer
from heterosis.terms.errors import InvalidInputError

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10
MAX_FIELDS = 1 << 16
"""Most fields of a message: one made of nothing but small ones would keep the event loop busy for long."""


def take_out(message: bytes, number: int) -> tuple[bytes, list[memoryview]]:
    """Take the ``bytes`` field of this number out: return the message without it, and its values, not copied."""
    view = memoryview(message)
    rest: list[Buffer] = []
    found: list[memoryview] = []
    position = kept = fields = 0
    while position < len(view):
        start = position
        fields += 1
        if fields > MAX_FIELDS:
            raise InvalidInputError(f"the message has more than {MAX_FIELDS} fields")
        tag, position = _varint(view, position)
        if tag & 7 == _LENGTH:
            length, position = _varint(view, position)
            position += length
            if position > len(view):
                raise InvalidInputError("the message ends within a field")
            if tag >> 3 == number:
                rest.append(view[kept:start])
                found.append(view[position - length : position])
                kept = position
        elif tag & 7 == _VARINT:
            _, position = _varint(view, position)
        elif tag & 7 in {_EIGHT_BYTES, _FOUR_BYTES}:
            position += 8 if tag & 7 == _EIGHT_BYTES else 4
        else:
            raise InvalidInputError(f"the message has a field of the unknown wire type {tag & 7}")
    if not found:
        return message, []
    rest.append(view[kept:])
    return b"".join(rest), found


def put_in(number: int, values: Sequence[Buffer]) -> list[Buffer]:
    """Write a repeated ``bytes`` field: parts of a message, to be joined to the others."""
    tag = to_varint(number << 3 | _LENGTH)
    parts: list[Buffer] = []
    for value in values:
        parts += (tag + to_varint(len(value)), value)
    return parts


def wrapped(number: int, parts: Sequence[Buffer]) -> list[Buffer]:
    """Make a message, in parts, a field of another one."""
    return [to_varint(number << 3 | _LENGTH) + to_varint(sum(map(len, parts))), *parts]


def to_varint(value: int) -> bytes:
    """Write a number as protobuf does: seven bits a byte, the least significant first."""
    out = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in view[position : position + _LONGEST_VARINT]:
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the last one
            return value, position
        shift += 7
    raise InvalidInputError("the message ends within a number, or has one that is too long")

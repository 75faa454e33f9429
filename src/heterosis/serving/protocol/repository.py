"""The model repository extension: what there is, and loading and unloading it.

Source: triton-inference-server/server, docs/protocol/extension_model_repository.md. Of a configuration that is sent
along, the largest batch is used; models come from the server's own files alone, never from a client.
"""

import reprlib
from typing import Any

import msgspec

from heterosis.serving.protocol.messages import Parameters
from heterosis.terms.errors import InvalidInputError

_MAX_BATCH = 1 << 16


class IndexRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be listed: everything, or only what is ready."""

    ready: bool = False


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to load or unload brings along."""

    parameters: Parameters = {}


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model; ``reason`` says why its ``state`` is what it is."""

    name: str
    version: str
    state: str
    reason: str = ""


def max_batch_of(model: str, parameters: Parameters) -> int | None:
    """Read the largest batch that a request to load asks for; None where it asks for none.

    Raise InvalidInputError for a configuration that cannot be read, or a parameter that is not understood.
    """
    for name in parameters:
        if name not in {"config", "canary"}:
            raise InvalidInputError(
                f"failed to load {model!r}: parameter {name!r} is not taken; models are loaded from the server's files"
            )
    if "config" not in parameters:
        return None
    text = parameters["config"]
    try:
        config = msgspec.json.decode(text if isinstance(text, str) else "", type=dict[str, Any])
        return _whole(config["max_batch_size"]) if "max_batch_size" in config else None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"failed to load {model!r}: its config, {reprlib.repr(text)}, cannot be read as JSON: {error}"
        ) from None


def canary_of(model: str, parameters: Parameters) -> float | None:
    """Read what share of the requests a version is to have at first; None where nothing is said.

    Ours, not Triton's: ``{"parameters": {"canary": 0.1}}``. Raise InvalidInputError where it is no share.
    """
    if "canary" not in parameters:
        return None
    share = parameters["canary"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InvalidInputError(f"failed to load {model!r}: canary is a share from 0 to 1, got {reprlib.repr(share)}")
    return float(share)


def _whole(value: object) -> int:
    """Read a number; protobuf's JSON writes some as strings."""
    number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else -1
    if not 0 <= number <= _MAX_BATCH:
        raise ValueError(f"max_batch_size is {reprlib.repr(value)}; it must be in 0..{_MAX_BATCH}")
    return number

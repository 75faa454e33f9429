"""The model configuration extension: what Triton's clients want to know of a model besides its metadata.

Source: triton-inference-server/server, docs/protocol/extension_model_configuration.md; of model_config.proto, what
clients read.
"""

from collections.abc import Sequence

import msgspec

from heterosis.serving.protocol.tensors import NAMES
from heterosis.terms import TensorSpec


class TensorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An input or output; of a batched model, ``dims`` leave the batch axis out."""

    name: str
    data_type: str
    dims: tuple[int, ...]


class DynamicBatching(msgspec.Struct, frozen=True, kw_only=True):
    """Requests are put together as the scheduler sees fit, within their deadlines: there is no fixed delay."""

    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_microseconds: int = 0


class TransactionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a request may have any number of answers."""

    decoupled: bool = False


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a model. ``max_batch_size`` is 0 where its tensors have no batch axis."""

    name: str
    platform: str
    backend: str = "heterosis"
    max_batch_size: int
    input: tuple[TensorConfig, ...]
    output: tuple[TensorConfig, ...]
    dynamic_batching: DynamicBatching | msgspec.UnsetType = msgspec.UNSET
    model_transaction_policy: TransactionPolicy = TransactionPolicy()


def tensor_configs(specs: Sequence[TensorSpec], max_batch: int) -> tuple[TensorConfig, ...]:
    """Describe tensors as a configuration does."""
    return tuple(
        TensorConfig(name=spec.name, data_type=_data_type(spec.dtype), dims=spec.shape[1:] if max_batch else spec.shape)
        for spec in specs
    )


def _data_type(dtype: str) -> str:
    return "TYPE_STRING" if dtype == "bytes" else f"TYPE_{NAMES[dtype]}"

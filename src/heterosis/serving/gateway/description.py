"""Models as the protocol describes them."""

from collections.abc import Sequence

import msgspec

from heterosis.serving.models import Model
from heterosis.serving.protocol import ModelMetadata, TensorMetadata
from heterosis.serving.protocol.configuration import DynamicBatching, ModelConfig, TransactionPolicy, tensor_configs
from heterosis.serving.protocol.statistics import BatchStatistics, Duration, InferStatistics, ModelStatistics
from heterosis.serving.statistics import Spell


def metadata_of(model: Model, versions: Sequence[str]) -> ModelMetadata:
    """Describe a model's inputs and outputs; ``versions`` are those of its name that are served."""
    return ModelMetadata(
        name=model.name,
        versions=tuple(versions),
        platform=model.platform,
        inputs=tuple(TensorMetadata.of(edge.spec) for edge in model.signature.inputs),
        outputs=tuple(TensorMetadata.of(edge.spec) for edge in model.signature.outputs),
    )


def config_of(model: Model) -> ModelConfig:
    """Say how a model is served."""
    return ModelConfig(
        name=model.name,
        platform=model.platform,
        max_batch_size=model.max_batch,
        input=tensor_configs([edge.spec for edge in model.signature.inputs], model.max_batch),
        output=tensor_configs([edge.spec for edge in model.signature.outputs], model.max_batch),
        dynamic_batching=DynamicBatching() if model.max_batch > 1 else msgspec.UNSET,
        model_transaction_policy=TransactionPolicy(decoupled=model.streams),
    )


def statistics_of(model: Model) -> ModelStatistics:
    """Say what a model has done so far. Of a pipeline, inferences and executions are those of all its stages.

    Where the time went is told of as many requests as were answered, as Triton does: its perf_analyzer insists on
    counts that agree. The times are measured as they pass, so those of what is under way, or failed, are among them.
    """
    done = model.statistics
    answered = done.success.count
    return ModelStatistics(
        name=model.name,
        version=model.version,
        last_inference=round(done.last_inference_s * 1e3),
        inference_count=done.inferences,
        execution_count=done.executions,
        inference_stats=InferStatistics(
            success=_duration(done.success),
            fail=_duration(done.fail),
            queue=_duration(done.queue, answered),
            compute_input=_duration(done.decode, answered),
            compute_infer=_duration(done.infer, answered),
            compute_output=_duration(done.encode, answered),
        ),
        batch_stats=tuple(
            BatchStatistics(batch_size=size, compute_infer=_duration(spell))
            for size, spell in sorted(done.batches.items())
        ),
    )


def _duration(spell: Spell, count: int | None = None) -> Duration:
    return Duration(count=spell.count if count is None else count, ns=round(spell.seconds * 1e9))

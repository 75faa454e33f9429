"""The statistics extension: what the models have done so far.

Source: triton-inference-server/server, docs/protocol/extension_statistics.md. There is no cache of answers here, so
what Triton counts of one is always 0.
"""

import msgspec


class Duration(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and for how many nanoseconds in all."""

    count: int = 0
    ns: int = 0


class InferStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of requests: those that were answered, those that were not, and where the time went."""

    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()
    cache_hit: Duration = Duration()
    cache_miss: Duration = Duration()


class BatchStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of executions with so many calls in a batch."""

    batch_size: int
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()


class ModelStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version of a model; ``last_inference`` is in milliseconds since 1970."""

    name: str
    version: str
    last_inference: int = 0
    inference_count: int = 0
    execution_count: int = 0
    inference_stats: InferStatistics = InferStatistics()
    batch_stats: tuple[BatchStatistics, ...] = ()


class StatisticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request for statistics."""

    model_stats: tuple[ModelStatistics, ...]

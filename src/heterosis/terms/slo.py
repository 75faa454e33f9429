"""What a pipeline promises to its clients."""

import msgspec


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """A service level objective.

    ``percentile`` percent of the requests are answered within ``latency_ms`` of their arrival, and the mean accuracy of
    the answers (0..1, end to end, on the pipeline's samples) is at least ``min_accuracy`` where that is given.
    """

    latency_ms: float
    percentile: float = 99.0
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no system could meet."""
        if not self.latency_ms > 0:
            raise ValueError(f"Slo.latency_ms must be positive, got {self.latency_ms}")
        if not 0 < self.percentile < 100:  # noqa: PLR2004
            raise ValueError(f"Slo.percentile must lie between 0 and 100 (both excluded), got {self.percentile}")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise ValueError(f"Slo.min_accuracy must lie between 0 and 1, got {self.min_accuracy}")

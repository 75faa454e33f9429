"""What a pipeline promises to its clients."""

from collections.abc import Mapping

import msgspec


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """A service level objective.

    ``percentile`` percent of the requests are answered within ``latency_ms`` of their arrival, and the mean accuracy of
    the answers (0..1, end to end, on the pipeline's samples) is at least ``min_accuracy`` where that is given. Classes
    of requests that are named in ``class_accuracy`` have a floor of their own, higher or lower.
    """

    latency_ms: float
    percentile: float = 99.0
    min_accuracy: float | None = None
    class_accuracy: Mapping[str, float] = {}

    @property
    def alike(self) -> "Slo":
        """The same for all classes, where those are served alike: then the highest floor is everybody's."""
        if not self.class_accuracy:
            return self
        highest = max(self.min_accuracy or 0.0, *self.class_accuracy.values())
        return msgspec.structs.replace(self, min_accuracy=highest, class_accuracy={})

    def __post_init__(self) -> None:
        """Refuse values that no system could meet."""
        if not self.latency_ms > 0:
            raise ValueError(f"Slo.latency_ms must be positive, got {self.latency_ms}")
        if not 0 < self.percentile < 100:  # noqa: PLR2004
            raise ValueError(f"Slo.percentile must lie between 0 and 100 (both excluded), got {self.percentile}")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise ValueError(f"Slo.min_accuracy must lie between 0 and 1, got {self.min_accuracy}")
        for name, floor in self.class_accuracy.items():
            if not 0 <= floor <= 1:
                raise ValueError(f"Slo.class_accuracy of {name!r} must lie between 0 and 1, got {floor}")

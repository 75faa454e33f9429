"""Who misses deadlines: a weight for each class of requests, so that none pays for the others."""

from dataclasses import dataclass, field

MEMORY = 0.02
"""Weight of one call in the share of its class that misses."""
LONG_MEMORY = 0.0005
"""Weight of one call in the share of all that miss, once there were many."""
BEFORE = 500
"""The first calls weigh as if so many had been in time before them: more than later ones, so that it is known soon."""
MOST = 8.0


@dataclass(slots=True)
class Fairness:
    """Weights that grow with a class's share of missed deadlines, against the mean of all."""

    missed: float = 0.0
    """Share of all calls that miss their deadlines, smoothed."""
    _noted: int = 0
    _missed: dict[str, float] = field(default_factory=dict)

    def note(self, request_class: str, *, missed: bool) -> None:
        """Take one call, or refused request, of a class."""
        self._noted += 1
        memory = 1 / (BEFORE + self._noted)
        self.missed += (memory if memory > LONG_MEMORY else LONG_MEMORY) * (missed - self.missed)
        share = self._missed.get(request_class, 0.0)
        self._missed[request_class] = share + MEMORY * (missed - share)

    def weight(self, request_class: str) -> float:
        """How much sooner than others a class goes: 1 while it misses no more than they do."""
        if len(self._missed) < 2:  # noqa: PLR2004 - it is the only one
            return 1.0
        mean = sum(self._missed.values()) / len(self._missed)
        return min(max(self._missed.get(request_class, 0.0) / mean, 1.0), MOST) if mean > 0 else 1.0

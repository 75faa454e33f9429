"""What a plan is to cost least of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from heterosis.planning.options import Candidate


@dataclass(frozen=True)
class Objective:
    """A cost of every option, per request; a plan's is the sum of its options'."""

    name: str
    unit: str
    of: Callable[[Candidate], float]
    reason: str
    """Why this one, and what it leaves out."""

    def show(self, cost: float) -> str:
        """Return a cost as text."""
        return f"{cost:.3g} {self.unit}"


ENERGY = Objective(
    name="dynamic energy",
    unit="J",
    of=lambda candidate: candidate.energy.joules or 0.0,
    reason="least dynamic energy per request; idle power is left out, being the same for every plan on this fleet",
)
CPU_TIME = Objective(
    name="CPU time",
    unit="CPU-ms",
    of=lambda candidate: candidate.cpu_ms,
    reason="least CPU time per request, since the energy of some options is unknown",
)


def objective(candidates: Sequence[Candidate]) -> Objective:
    """Return energy where it is known of every option, else CPU time: options must be compared by one measure."""
    return ENERGY if all(candidate.energy.joules is not None for candidate in candidates) else CPU_TIME

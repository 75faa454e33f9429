"""What came of a simulated run."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from heterosis.scheduling import Refusal
from heterosis.terms import Slo


@dataclass(slots=True)
class Outcome:
    """Latencies of the answered requests, refusals by kind, and dynamic joules, batch by batch."""

    slo: Slo
    latencies_s: list[float] = field(default_factory=list)
    refusals: Counter[Refusal] = field(default_factory=Counter)
    dynamic_joules: float | None = 0.0
    duration_s: float = 0.0

    def answered(self, latency_s: float) -> None:
        """Take a request that was answered."""
        self.latencies_s.append(latency_s)

    def refused(self, kind: Refusal) -> None:
        """Take a request that was refused or given up."""
        self.refusals[kind] += 1

    def batch(self, joules_per_item: float | None, items: int) -> None:
        """Take the energy of a batch; unknown energy makes the sum unknown."""
        if self.dynamic_joules is None or joules_per_item is None:
            self.dynamic_joules = None
        else:
            self.dynamic_joules += joules_per_item * items

    @property
    def requests(self) -> int:
        """Requests that arrived."""
        return len(self.latencies_s) + self.refusals.total()

    @property
    def attainment(self) -> float:
        """Share of requests answered within the SLO's latency."""
        in_time = sum(latency <= self.slo.latency_ms / 1e3 for latency in self.latencies_s)
        return in_time / self.requests if self.requests else 1.0

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latency of all requests; one that was refused counts as endless."""
        ordered = np.array(self.latencies_s + [np.inf] * self.refusals.total())
        return float(np.percentile(ordered, percent, method="higher")) * 1e3 if len(ordered) else 0.0

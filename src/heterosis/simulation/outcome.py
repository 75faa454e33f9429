"""What came of a simulated run."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from heterosis.control.energy import Joules
from heterosis.scheduling import Refusal
from heterosis.simulation.records import Records
from heterosis.terms import Slo


@dataclass(slots=True)
class Outcome:
    """What became of every request, and what it cost. `make_report` sums it up."""

    slo: Slo
    """The plan's; a request may have had an objective of its own."""
    records: Records = field(default_factory=Records)
    dynamic_joules: float | None = 0.0
    """Energy of the batches above idle; None where any of it is unknown."""
    wasted_joules: float | None = 0.0
    """Of that, what was spent on requests that were not answered in time."""
    joules: Joules = field(default_factory=Joules)
    """All energy by what it was spent on; idle energy and so the total are unknown where no fleet was given."""
    duration_s: float = 0.0
    """When the last request ended."""
    decision_s: "array[float]" = field(default_factory=lambda: array("d"), compare=False)
    """Wall time that the core took for each event, where that was measured."""

    @property
    def requests(self) -> int:
        """Requests that arrived."""
        return len(self.records)

    @property
    def latencies_s(self) -> list[float]:
        """Latencies of the answered requests, in order of arrival."""
        latencies = self.records.latencies
        answered: list[float] = latencies[~np.isnan(latencies)].tolist()
        return answered

    @property
    def refusals(self) -> Counter[Refusal]:
        """Requests that were refused or given up, by kind."""
        return +Counter(self.records.refusals())

    @property
    def attainment(self) -> float:
        """Share of requests answered in time, by the deadline of each."""
        return 1.0 - float(self.records.violated.mean()) if self.requests else 1.0

    @property
    def goodput_rps(self) -> float:
        """Requests answered in time per second."""
        return self.attainment * self.requests / self.duration_s if self.duration_s else 0.0

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latency of all requests; one that was refused counts as endless."""
        latencies = np.nan_to_num(self.records.latencies, nan=np.inf)
        return float(np.percentile(latencies, percent, method="higher")) * 1e3 if len(latencies) else 0.0

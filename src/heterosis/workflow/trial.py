"""Plans under load in the simulator, several policies side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heterosis.simulation import (
    Interval,
    Occupancy,
    Power,
    Report,
    Setting,
    Simulator,
    make_report,
    repeat,
    workload,
)
from heterosis.terms import Fleet, PipelineGraph, Plan
from heterosis.terms.errors import UsageError
from heterosis.workflow.loads import Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A load on a plan; whatever policy is tried meets the same requests."""

    graph: PipelineGraph
    moments: Moments
    seeds: int
    bias: float = 1.0
    fleet: Fleet | None = None
    """Whose idle power counts; without it, that is unknown."""

    def run(
        self, plan: Plan, *, trace_out: Path | None = None, step: Callable[[], object] = lambda: None
    ) -> dict[str, Interval]:
        """Simulate the plan under its policy with each seed; return the interval of each figure of the report.

        Write to ``trace_out`` what ran where and when under the first seed. ``step`` is called after each seed.
        """

        def one(seed: int) -> Report:
            occupancy = Occupancy() if seed == 0 and trace_out is not None else None
            power = None if self.fleet is None else Power(fleet=self.fleet)
            setting = Setting(timed=True, power=power, occupancy=occupancy)
            times = self.moments(seed)
            if not times:
                raise UsageError("nothing arrives in so short a time; take a longer --duration or a higher --rate")
            arrivals = workload(times, self.graph, seed=seed)
            outcome = Simulator(plan, seed=seed, bias=self.bias, setting=setting).run(arrivals)
            if occupancy is not None and trace_out is not None:
                try:
                    occupancy.write(trace_out)
                except OSError as error:
                    raise UsageError(f"cannot write {trace_out}: {error}") from None
            step()
            return make_report(outcome)

        return repeat(one, range(self.seeds))

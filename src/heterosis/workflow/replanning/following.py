"""Plans one after the other: each begins where the last one ended, since loads change but pipelines and devices do not.

The search for the share of the SLO to plan for (`heterosis.planning.fleet.verified`) takes many trials. The next plan
is made for the share that held last; one trial shows whether it still does, and only where not is it searched anew.
"""

from heterosis.planning.fleet import Answer, Limits, Task, allot, holds, verified
from heterosis.workflow.fleets import simulated


class Following:
    """Makes plans for a loop (`heterosis.control.MakePlan`)."""

    def __init__(self, latency: float | None = None) -> None:
        """Begin at a share of the SLO, where one is known to hold."""
        self._latency = latency

    def __call__(self, task: Task) -> Answer | None:
        """Return a plan that held when it was tried; None where there is none."""
        verify = simulated(task)
        if self._latency is not None:
            answer = allot(task, limits=Limits(latency=self._latency))
            if answer is not None:
                verdict = verify(answer.allotment)
                if holds(task, verdict):
                    return answer
        found = verified(task, verify, begin=self._latency)
        if found is not None:
            self._latency = found.latency
        return found

"""The loop in virtual time: its planner answers at once, and is heard so much later as planning takes."""

from collections.abc import Callable, Collection, Sequence

from heterosis.control.acts import Ask, Measure, PutInForce
from heterosis.control.controller import Controller
from heterosis.control.questions import MakePlan, NoPlanError, Proposal, Question, respond
from heterosis.scheduling import Record
from heterosis.terms import OperatingPoint, Plan

MeasureAnew = Callable[[Measure, float], Sequence[OperatingPoint]]
"""Gives what a device takes at a moment, by the names of the profile."""
TICK_S = 0.25
PLANNING_S = 1.0


class Steering:
    """Drives a controller for a simulator (its `heterosis.simulation.Setting`)."""

    def __init__(
        self,
        controller: Controller,
        make: MakePlan,
        *,
        tick_s: float = TICK_S,
        planning_s: float = PLANNING_S,
        measure: MeasureAnew | None = None,
    ) -> None:
        """Let plans be made by ``make``, and be there ``planning_s`` after they were asked for.

        ``measure`` tells at once what devices are measured as, where the controller asks for that.
        """
        self.controller, self.tick_s = controller, tick_s
        self._make, self._planning_s, self._measure = make, planning_s, measure
        self._waiting: list[tuple[float, Question, Proposal | str]] = []

    @property
    def points(self) -> Collection[OperatingPoint]:
        """All that any plan may have."""
        return [point for workload in self.controller.task.workloads for point in workload.profile.points]

    def observe(self, record: Record) -> None:
        """Take a step of the scheduler."""
        self.controller.observe(record)

    def tick(self, now: float) -> Sequence[Plan]:
        """Return the plans to put in force now, in order."""
        while self._waiting and self._waiting[0][0] <= now:
            _, question, answer = self._waiting.pop(0)
            if isinstance(answer, Proposal):
                self.controller.answered(question, answer, now)
            else:
                self.controller.unanswered(question, answer, now)
        plans = []
        for act in self.controller.tick(now):
            if isinstance(act, Ask):
                try:
                    answer = respond(act.question, self._make)
                except NoPlanError as error:
                    answer = str(error)
                late_s = self._planning_s if act.question.retuning is None else 0.0
                self._waiting.append((now + late_s, act.question, answer))
                self._waiting.sort(key=lambda each: each[0])
            elif isinstance(act, PutInForce):
                plans.append(act.plan)
            elif self._measure is not None:
                self.controller.measured(act, self._measure(act, now), now)
        return plans

"""The loop: what was observed in, what to do out. The server runs it in real time, the simulator in virtual time.

Rules
-----
1. It reads no clock and looks at nothing but the scheduler's records and the answers of its planner.
2. At most one question is with the planner. It asks every so often, where anything has moved; at once when a device
   fails, comes, or is not as fast as it was taken for; and when the arrivals are more, or surely less, than what is
   allotted for.
3. Changes are make before break (`heterosis.planning.fleet.changes`): a step is taken when the one before it has come
   about. While a question is open, no step is taken, so that its answer starts from what is.
4. What does not come about in time is the fault of the devices that it waits for: they are held out for a while.
5. Everything that it does is noted, with the reason.
"""

import math
from collections import deque
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from heterosis.control.change import PATIENCE, PATIENCE_S, Change, missing
from heterosis.control.demand import CERTAINTY, Demand
from heterosis.control.health import Health
from heterosis.control.questions import RESERVE, Proposal, Question
from heterosis.control.speeds import Speeds
from heterosis.control.telemetry import Change as Changed
from heterosis.control.telemetry import Ran, Telemetry
from heterosis.planning.fleet import Allotment, Task
from heterosis.planning.fleet.changes import Headroom, load_of, settled
from heterosis.planning.fleet.changes.contents import present
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.task import Combination
from heterosis.planning.fleet.tuning import Tuner
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.planning.forecast import DAY_S
from heterosis.scheduling import InstanceDown, Record, RequestArrived
from heterosis.scheduling.state import Unit
from heterosis.scheduling.states import InstanceState
from heterosis.terms import Fleet, Plan

KEPT = 50
"""Decisions that are remembered."""
SOONEST_S = 5.0
"""After a plan was asked for, how soon one may be asked for again because the fleet's devices of its kinds are used up.
"""
SLOWER, SHORT = "what runs is slower than it was planned as", "the plan's kinds of devices are used up"
MOVED = 1.1
"""Ratio of the rates to plan for to those of the last plan, either way, from which another is asked for."""
LEAST_RPS = 0.1
"""What is planned for at least: nothing is no load to plan for."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the loop goes about it."""

    plan_every_s: float = 30.0
    """From one plan to the next, where nothing asks for one sooner."""
    horizon_s: float = 300.0
    """For how long a plan is taken to hold: what a change costs must be saved in that time."""
    hold_s: float = 15.0
    """How long after a change fewer devices are enough."""
    period_s: float = DAY_S
    """After which the load is expected to repeat itself."""
    parts: int = 96
    """Of a period, each with a load of its own."""
    certainty: float = CERTAINTY
    reserve: float = RESERVE
    aims: Mapping[str, float] = {}
    """Accuracy to be had where the fleet can, above the SLO's floor, by pipeline."""
    latency: float | None = None
    """Share of the SLO that the first plan was made for, where the planner may begin."""
    accuracies: Mapping[str, Mapping[Combination, float]] = {}
    """As measured end to end, by pipeline and by the variants that served; see `Question`."""


class PutInForce(msgspec.Struct, frozen=True, kw_only=True):
    """Let this plan hold from now on."""

    plan: Plan
    reason: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Put this to the planner, and tell the controller what it answers."""

    question: Question


Act = PutInForce | Ask


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, for those who ask later."""

    at: float
    what: str
    """``plan``, ``tune``, ``step``, ``speed``, ``health``, ``fleet`` or ``planner``."""
    changed: bool
    reason: str
    saves_w: float | None = None
    cost_j: float | None = None


class Controller:
    """Keeps a plan fit for what comes. Moments are those of the records, in seconds."""

    def __init__(
        self, task: Task, plan: Plan, allotment: Allotment, *, settings: Settings | None = None, begin: float = 0.0
    ) -> None:
        """Start from a task, its allotment, and the plan of that, which is in force from ``begin`` on."""
        self.settings = settings or Settings()
        self.task = replace(task, horizon_s=self.settings.horizon_s)
        """As asked for: the whole fleet, as profiled, at the rates that were expected."""
        self.plan = plan
        """In force."""
        self.telemetry = Telemetry()
        self.health = Health()
        points = [point for workload in task.workloads for point in workload.profile.points]
        self.speeds = Speeds(points)
        self.decisions: deque[Noted] = deque(maxlen=KEPT)
        self.starting_j = 0.0
        """Energy of all starts that were decided on, above idle; modelled."""
        self.changes = 0
        """How often another plan was changed to."""
        self.planned_rates = {each.graph.pipeline: each.rate_rps for each in task.workloads}
        """Requests per second that the plan changed to last is for, by pipeline."""
        self.bears = Headroom(plan.points, load_of(plan)).of(plan.placements)
        """By how much these could be multiplied until its instances have no time left."""
        self._tuner = Tuner(task, allotment, begin=begin, hold_s=self.settings.hold_s)
        self.demand = Demand(
            self.planned_rates,
            begin=begin,
            interval_s=self.settings.plan_every_s,
            period_s=self.settings.period_s,
            parts=self.settings.parts,
            certainty=self.settings.certainty,
        )
        self._starts = Starts(task, points)
        self._tuner.least(begin)  # what is needed for these is loaded now, not while requests wait
        settled(task, plan, plan)
        self._asked: Question | None = None
        self._asked_at = begin
        self._asked_rates = self.planned_rates
        """Requests per second that a plan was asked for last."""
        self._stale = False
        """Whether that plan never came, or is not what runs, or the devices for it are others since."""
        self._asked_urgently = False
        self._change: Change | None = None
        self._urgent: list[str] = []
        """Why a plan is needed at once."""
        self._must = ""
        """Why the plan in force cannot stay, if so, since a plan was asked for last."""
        self._held: set[Unit] = set()

    @property
    def rates(self) -> dict[str, float]:
        """Requests per second that are allotted for, by pipeline."""
        return dict(self._tuner.rates)

    @property
    def under_way(self) -> str:
        """Why plans are being changed; empty where none is."""
        return "" if self._change is None else self._change.reason

    # --- what happens

    def observe(self, record: Record) -> Ran | Changed | None:
        """Take a step of the scheduler; return what `Telemetry` makes of it."""
        told = self.telemetry.observe(record)
        event, at = record.event, record.at
        if isinstance(event, RequestArrived):
            pipeline = event.request.pipeline
            if pipeline in self._tuner.rates:
                self._tuner.note(pipeline, at)
                self.demand.note(pipeline)
        elif isinstance(told, Ran):
            placement = told.placement
            unit = (placement.node, placement.device)
            self.speeds.observe(unit, placement.configuration, told.items, told.run_s, at)
        elif isinstance(told, Changed) and isinstance(told.event, InstanceDown) and told.wanted:
            self._went_down(told, at)
        return told

    def _went_down(self, told: Changed, at: float) -> None:
        unit = (told.placement.node, told.placement.device)
        if self.health.went_down(unit, at) and not self._only(unit):
            self._note(at, "health", f"{_name(unit)} keeps failing: {told.event.reason}", urgent=True)  # type: ignore[union-attr]

    def fleet_changed(self, task: Task, now: float) -> None:
        """Take note of what joined the fleet, with what is known of it, or left it: the task is another."""
        before, after = _units(self.task.fleet), _units(task.fleet)
        if before == after:
            return
        self.task = task
        points = [point for each in task.workloads for point in each.profile.points]
        self._starts = Starts(task, points)
        self.speeds.expect(points)
        left = present(task, self.plan)
        self.plan = self.plan if left == self.plan else left
        said = [f"{_name(unit)} joined" for unit in after - before] + [f"{_name(unit)} left" for unit in before - after]
        self._note(now, "fleet", ", ".join(sorted(said)), urgent=True)

    def answered(self, question: Question, proposal: Proposal, now: float) -> None:
        """Take the planner's answer to a question."""
        if question is not self._asked:
            return  # another was asked meanwhile
        self._asked = None
        if question.now is not self.plan or self._urgent:  # what it starts from is no more
            self._urgent = self._urgent or ["the plan in force changed while another was made"]
            self._must = self._must or question.must
            return
        decision, retuning = proposal.decision, question.retuning
        if decision.change or retuning is None:
            self._note_answer(question, proposal, now)
        if retuning is not None:
            allotment = proposal.allotment if decision.change else self._tuner.allotment
            self._tuner.take(retuning, allotment, now, proposal.rates)
            short = [reason for reason in proposal.allotment.reasons if "has no more devices" in reason]
            if retuning.rises and short and now > self._asked_at + SOONEST_S:
                self._urgent.append(short[0])
                self._must = SHORT
        elif decision.change:
            self._tuner.replanned(at_rates(question.task, proposal.rates), proposal.allotment, now)
        if decision.change:
            self._change = Change(decision.transition.steps, question.reason)
            self.starting_j += decision.transition.starting_j
            self.changes += 1
            self._stale = self._stale or retuning is not None
            self.planned_rates = dict(proposal.rates)
            self.bears = proposal.bears

    def _note_answer(self, question: Question, proposal: Proposal, now: float) -> None:
        decision = proposal.decision
        self.decisions.append(
            Noted(
                at=now,
                what="plan" if question.retuning is None else "tune",
                changed=decision.change,
                reason="; ".join((question.reason, *_served(proposal), decision.reason)),
                saves_w=decision.saves_w,
                cost_j=decision.transition.cost_j,
            )
        )

    def unanswered(self, question: Question, message: str, now: float) -> None:
        """Take note that the planner has no answer to a question."""
        if question is not self._asked:
            return
        self._asked = None
        retuning = question.retuning
        if retuning is not None:
            self._tuner.take(retuning, self._tuner.allotment, now)  # lest it be asked again at once
        self._stale = True
        urgent = retuning is not None and retuning.rises
        self._note(now, "planner", f"{question.reason}: {message}" if urgent else message, urgent=urgent)

    def refused(self, plan: Plan, message: str, now: float) -> None:
        """Take note that a plan could not be put in force; ``plan`` is in force instead."""
        self.plan, self._change = plan, None
        self._note(now, "planner", message, urgent=True)

    # --- what to do

    def tick(self, now: float) -> list[Act]:
        """Decide what to do now. Call it several times a second."""
        acts: list[Act] = []
        self._look_at_speeds(now, acts)
        self._look_at_health(now)
        self.demand.tick(now)
        if self._asked is not None:
            if not self._gives_way(now):
                return acts
            self._stale = True
        if self._change is not None and not self._urgent:
            self._go_on(now, acts)
        due = now >= self._asked_at + self.settings.plan_every_s
        if self._urgent or (due and self._change is None and self._moved(now)):
            self._ask_plan(now, acts)
            return acts
        wanted = self._tuner.wanted(now)
        if wanted is not None and (wanted.rises or self._change is None):
            self._asked = Question(
                task=wanted.task, now=self.plan, reason=wanted.reasons[0], retuning=wanted, reserve=1.0
            )
            acts.append(Ask(question=self._asked))
        return acts

    def _moved(self, now: float) -> bool:
        """Whether a plan could differ from what the last one asked for found; where not, it is looked at again later.

        To plan takes joules as well, the more of them the better plans are tried.
        """
        rates = self._rates(now)
        if not self._stale and all(
            abs(math.log(rate / self._asked_rates[name])) < math.log(MOVED) for name, rate in rates.items()
        ):
            self._asked_at = now
            return False
        return True

    def _rates(self, now: float) -> dict[str, float]:
        """What to plan for."""
        sure = self._tuner.rates if self._urgent else self._tuner.least(now)  # forecasts follow a load that grows later
        return {name: max(rate, sure[name], LEAST_RPS) for name, rate in self.demand.rates().items()}

    def _gives_way(self, now: float) -> bool:
        """Whether the question that is open can wait: arrivals beyond what is allotted for cannot."""
        if self._asked is None or self._asked.retuning is not None or self._asked_urgently:
            return False
        wanted = self._tuner.wanted(now)
        return wanted is not None and wanted.rises

    def _look_at_speeds(self, now: float, acts: list[Act]) -> None:
        changed = self.speeds.changed(now)
        for unit, (before, after) in changed.items():
            self._note(
                now,
                "speed",
                f"{_name(unit)} takes {after:.2f} times as long as profiled, before {before:.2f}",
                urgent=True,
            )
            self._must = self._must or (SLOWER if after > before else "")
        if changed:
            plan = self.speeds.relabelled(self.plan, self.task.fleet)
            if plan != self.plan:
                self._put(plan, "devices are taken for as fast as they are", acts)

    def _look_at_health(self, now: float) -> None:
        late = {
            (each.placement.node, each.placement.device): each
            for each in self.telemetry.instances.values()
            if each.state is InstanceState.STARTING
            and now > each.since + PATIENCE * self._starts.load_s(each.placement) + PATIENCE_S
        }
        for unit in late:
            if unit not in self.health.held_out(now) and not self._only(unit):
                self.health.hold_out(unit, now)
                self._note(now, "health", f"{_name(unit)} does not get its instances to run", urgent=True)
        held = self.health.held_out(now)
        for unit in self._held - held:
            self._note(now, "health", f"{_name(unit)} may be used again")
            self._stale = True
        self._held = held

    def _go_on(self, now: float, acts: list[Act]) -> None:
        """Take the next step of a change, where what is in force has come about."""
        change = self._change
        assert change is not None  # noqa: S101
        if not missing(self.plan, self.telemetry.instances) or change.fresh:
            if change.over:
                self._change = None
                self._note(now, "step", f"changed: {change.reason}")
                return
            self._put(change.take(now), change.reason, acts)
        elif change.late(now):
            self._change = None
            waited = ", ".join(missing(self.plan, self.telemetry.instances)[:3])
            self._note(now, "step", f"given up, as it still waits for {waited}: {change.reason}", urgent=True)

    def _put(self, plan: Plan, reason: str, acts: list[Act]) -> None:
        self.plan = self.speeds.relabelled(plan, self.task.fleet)
        acts.append(PutInForce(plan=self.plan, reason=reason))

    def _ask_plan(self, now: float, acts: list[Act]) -> None:
        self._asked_rates = self._rates(now)
        task = at_rates(self.speeds.corrected(self._task_left(now)), self._asked_rates)
        reason = "; ".join(self._urgent) or "time for a plan"
        self._asked_urgently = bool(self._urgent)
        self._urgent, self._change, self._asked_at = [], None, now
        self._asked = Question(
            task=task,
            now=self.plan,
            reason=reason,
            must=self._must,
            aims=self.settings.aims,
            reserve=self.settings.reserve,
            latency=self.settings.latency,
            accuracies=self.settings.accuracies,
        )
        self._must, self._stale = "", False
        acts.append(Ask(question=self._asked))

    def _task_left(self, now: float) -> Task:
        """The task without devices that are held out, unless nothing would be left."""
        held = self.health.held_out(now)
        nodes = tuple(
            replace(node, devices=tuple(each for each in node.devices if (node.name, each.name) not in held))
            for node in self.task.fleet.nodes
        )
        fleet = Fleet(nodes=nodes)
        return replace(self.task, fleet=fleet) if held and fleet.devices else self.task

    def _only(self, unit: Unit) -> bool:
        return _units(self.task.fleet) == {unit}

    def _note(self, at: float, what: str, reason: str, *, urgent: bool = False) -> None:
        self.decisions.append(Noted(at=at, what=what, changed=urgent, reason=reason))
        if urgent:
            self._urgent.append(reason)


def _served(proposal: Proposal) -> tuple[str, ...]:
    if proposal.served == 1.0:
        return ()
    return (f"the fleet serves no more than {proposal.served:.0%} of the load; the rest is refused",)


def _units(fleet: Fleet) -> set[Unit]:
    return {(node.name, device.name) for node in fleet.nodes for device in node.devices}


def _name(unit: Unit) -> str:
    return "/".join(unit)

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
from collections.abc import Sequence

from msgspec.structs import replace

from heterosis.control.acts import Act, Ask, Measure, PutInForce
from heterosis.control.change import Change, missing
from heterosis.control.decisions import Decisions, Noted
from heterosis.control.demand import CROWD, SPREAD, Demand
from heterosis.control.devices import Devices
from heterosis.control.questions import Proposal, Question
from heterosis.control.remeasuring import Remeasuring
from heterosis.control.settings import Settings
from heterosis.control.speeds import profiled
from heterosis.control.telemetry import Change as Changed
from heterosis.control.telemetry import Ran, Telemetry
from heterosis.planning.fleet import Allotment, Task
from heterosis.planning.fleet.changes import Headroom, load_of, settled
from heterosis.planning.fleet.changes.contents import present
from heterosis.planning.fleet.tuning import Tuner
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.scheduling import InstanceDown, Record, RequestArrived, StartInstance
from heterosis.scheduling.state import Unit
from heterosis.scheduling.states import InstanceState
from heterosis.terms import OperatingPoint, Plan

SOONEST_S = 5.0
"""After a plan was asked for, how soon one may be asked for again because the fleet's devices of its kinds are used up.
"""
SHORT = "the plan's kinds of devices are used up"
MOVED = 1.1
"""Ratio of the rates to plan for to those of the last plan, either way, from which another is asked for."""
LEAST_RPS = 0.1
"""What is planned for at least: nothing is no load to plan for."""


class Controller:
    """Keeps a plan fit for what comes. Moments are those of the records, in seconds."""

    def __init__(
        self, task: Task, plan: Plan, allotment: Allotment, *, settings: Settings | None = None, begin: float = 0.0
    ) -> None:
        """Start from a task, its allotment, and the plan of that, which is in force from ``begin`` on."""
        self.settings = settings or Settings()
        self.plan = plan
        """In force."""
        self.telemetry = Telemetry()
        self.decisions = Decisions()
        self.devices = Devices(replace(task, horizon_s=self.settings.horizon_s), self.decisions)
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
        self._tuner.least(begin)  # what is needed for these is loaded now, not while requests wait
        settled(task, plan, plan)
        self._asked: Question | None = None
        self._asked_at = begin
        self._asked_rates = self.planned_rates
        """Requests per second that a plan was asked for last."""
        self._asked_classes: dict[str, dict[str, float]] = {}
        """Shares of classes with floors of their own, likewise."""
        self._crowds = set[str]()
        """Pipelines of which far more comes than was foretold."""
        self._stale = self.settings.aim is not None  # which the first plan does not know
        """Whether that plan never came, or is not what runs, or the devices for it are others since."""
        self._asked_urgently = False
        self._change: Change | None = None
        self._remeasuring = Remeasuring()
        self._measuring: Unit | None = None
        self._relabel = False
        """Whether a device was measured since instances were taken for what their devices are."""

    @property
    def rates(self) -> dict[str, float]:
        """Requests per second that are allotted for, by pipeline."""
        return dict(self._tuner.rates)

    @property
    def task(self) -> Task:
        """As asked for: the whole fleet, as profiled, at the rates that were expected."""
        return self.devices.task

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
            unit = placement.unit
            self.devices.speeds.observe(unit, placement.configuration, told.items, told.run_s, told.request, at)
        self._hosted(record, told)
        return told

    def _hosted(self, record: Record, told: Ran | Changed | None) -> None:
        """Follow what devices host."""
        instances, at = self.telemetry.instances, record.at
        if isinstance(told, Changed) and isinstance(told.event, InstanceDown):
            unit = told.placement.unit
            self.devices.host(unit, instances, at, lost=told.wanted)
            if told.wanted:
                self.devices.went_down(unit, told.event.reason, at)
        for unit in {each.placement.unit for each in record.effects if isinstance(each, StartInstance)}:
            self.devices.host(unit, instances, at)

    def fleet_changed(self, task: Task, now: float) -> None:
        """Take note of what joined the fleet, with what is known of it, or left it: the task is another."""
        if self.devices.are(task, now):
            left = present(task, self.plan)
            self.plan = self.plan if left == self.plan else left

    def answered(self, question: Question, proposal: Proposal, now: float) -> None:
        """Take the planner's answer to a question."""
        if question is not self._asked:
            return  # another was asked meanwhile
        self._asked = None
        if question.now is not self.plan or self.decisions.urgent:  # what it starts from is no more
            self.decisions.urgent = self.decisions.urgent or ["the plan in force changed while another was made"]
            self.decisions.must = self.decisions.must or question.must
            return
        decision, retuning = proposal.decision, question.retuning
        if decision.change or retuning is None:
            self._note_answer(question, proposal, now)
        if retuning is not None:
            allotment = proposal.allotment if decision.change else self._tuner.allotment
            self._tuner.take(retuning, allotment, now, proposal.rates)
            short = [reason for reason in proposal.allotment.reasons if "has no more devices" in reason]
            if retuning.rises and short and now > self._asked_at + SOONEST_S:
                self.decisions.urgent.append(short[0])
                self.decisions.must = SHORT
        elif decision.change:
            task = question.task
            workloads = tuple(replace(each, slo=proposal.slos[each.graph.pipeline]) for each in task.workloads)
            task = at_rates(replace(task, workloads=workloads), proposal.rates)
            self._tuner.replanned(task, proposal.allotment, now)
        if decision.change:
            self._change = Change(decision.transition.steps, question.reason)
            self.starting_j += decision.transition.starting_j
            self.changes += 1
            self._stale = self._stale or retuning is not None
            self.planned_rates = dict(proposal.rates)
            self.bears = proposal.bears

    def _note_answer(self, question: Question, proposal: Proposal, now: float) -> None:
        decision = proposal.decision
        self.decisions.add(
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
        self.decisions.note(now, "planner", f"{question.reason}: {message}" if urgent else message, urgent=urgent)

    def refused(self, plan: Plan, message: str, now: float) -> None:
        """Take note that a plan could not be put in force; ``plan`` is in force instead."""
        self.plan, self._change = plan, None
        self.decisions.note(now, "planner", message, urgent=True)

    # --- what to do

    def tick(self, now: float) -> list[Act]:
        """Decide what to do now. Call it several times a second."""
        acts: list[Act] = []
        if self.devices.look_at_speeds(now) or self._relabel:
            self._relabel = False
            plan = self.devices.speeds.relabelled(self.plan, self.task.fleet)
            if plan != self.plan:
                self._put(plan, "devices are taken for as fast as they are", acts)
        if self.devices.look_at_health(now, self.telemetry.instances):
            self._stale = True
        self.demand.tick(now)
        if self._asked is not None:
            if not self._gives_way(now):
                return acts
            self._stale = True
        if self._change is not None and not self.decisions.urgent:
            self._go_on(now, acts)
        due = now >= self._asked_at + (SOONEST_S if self._tuner.at_least else self.settings.plan_every_s)
        if self.decisions.urgent or (due and self._change is None and self._moved(now)):
            self._ask_plan(now, acts)
            return acts
        wanted = self._tuner.wanted(now)
        if wanted is not None and (wanted.rises or self._change is None):
            self._asked = Question(
                task=self.devices.as_they_rest(wanted.task, now),
                now=self.plan,
                reason=wanted.reasons[0],
                retuning=wanted,
                reserve=1.0,
            )
            acts.append(Ask(question=self._asked))
        elif self.settings.remeasure and self._change is None and self._measuring is None:
            self._measure(now, acts)
        return acts

    def _measure(self, now: float, acts: list[Act]) -> None:
        """Have a device measured anew that is not what it was profiled as, if there is one that has time."""
        unit = self._remeasuring.due(
            self.devices.speeds.factors, lambda unit: self.telemetry.busy_share(unit, now), now
        )
        if unit is None:
            return
        placements = {
            profiled(each.placement.configuration): each.placement
            for each in self.telemetry.instances.values()
            if each.placement.unit == unit and each.state is InstanceState.READY
        }
        if placements:
            self._measuring = unit
            acts.append(Measure(node=unit[0], device=unit[1], placements=tuple(placements.values())))

    def measured(self, act: Measure, points: Sequence[OperatingPoint], now: float) -> None:
        """Take what a device was measured as, by the names of the profile."""
        unit = (act.node, act.device)
        before = self.devices.speeds.factors.get(unit, 1.0)
        after = self.devices.speeds.measured(unit, points)
        self._measuring, self._relabel = None, True
        self._remeasuring.note(unit, after)
        reason = f"{'/'.join(unit)} was measured anew, {len(points)} points: {after:.2f} times as long as profiled"
        self.decisions.note(now, "measure", f"{reason}, before {before:.2f}", urgent=True)

    def not_measured(self, act: Measure, why: str, now: float) -> None:
        """Take note that a device could not be measured."""
        unit = (act.node, act.device)
        self._measuring = None
        self._remeasuring.note(unit, self.devices.speeds.factors.get(unit, 1.0))
        self.decisions.note(now, "measure", f"{'/'.join(unit)} could not be measured anew: {why}")

    def _moved(self, now: float) -> bool:
        """Whether a plan could differ from what the last one asked for found; where not, it is looked at again later.

        To plan takes joules as well, the more of them the better plans are tried.
        """
        rates = self._rates(now)
        same_rates = all(
            abs(math.log(rate / self._asked_rates[name])) < math.log(MOVED) for name, rate in rates.items()
        )
        same_classes = all(
            abs(share - self._asked_classes.get(name, {}).get(each, 0.0)) < MOVED - 1
            for name, of in self._classes(now).items()
            for each, share in of.items()
        )
        if not self._stale and same_rates and same_classes:
            self._asked_at = now
            return False
        return True

    def _crowded(self, now: float) -> bool:
        """Whether far more comes than is foretold, until that is over or has become usual.

        How long a crowd will stay is not known: a plan that it needs is changed to, but none to save joules.
        """
        sure, foretold = self._tuner.least(now), self._foretold(now)
        for name, rate in foretold.items():
            if name in self._crowds:
                if sure[name] <= MOVED * rate:
                    self._crowds.remove(name)
            elif sure[name] > CROWD * rate:
                self._crowds.add(name)
                what = f"a crowd: at least {sure[name]:.4g}/s come of {name}, and {rate:.4g}/s are foretold"
                self.decisions.note(now, "planner", f"{what}; until it is over, no plan is changed to save joules")
        return bool(self._crowds)

    def _foretold(self, now: float) -> dict[str, float]:
        most = self._tuner.most(now)
        return {name: max(rate, LEAST_RPS) for name, rate in self.demand.rates(most).items()}

    def _rates(self, now: float) -> dict[str, float]:
        """What to plan for."""
        # Forecasts follow a load that grows later.
        sure = self._tuner.rates if self.decisions.urgent else self._tuner.least(now)
        return {name: max(rate, sure[name]) for name, rate in self._foretold(now).items()}

    def _classes(self, now: float) -> dict[str, dict[str, float]]:
        """Shares of the requests that classes with accuracy floors of their own had of late, on the safe side."""
        found = {}
        for each in self.task.workloads:
            name = each.graph.pipeline
            counts = {
                request_class: figures.minute.sums(now)[0]
                for (pipeline, request_class), figures in self.telemetry.classes.items()
                if pipeline == name
            }
            most = max(sum(counts.values()), 1.0)
            found[name] = {
                request_class: min((count + SPREAD * math.sqrt(count)) / most, 1.0)
                for request_class, count in counts.items()
                if request_class in each.slo.class_accuracy
            }
        return found

    def _gives_way(self, now: float) -> bool:
        """Whether the question that is open can wait: arrivals beyond what is allotted for cannot."""
        if self._asked is None or self._asked.retuning is not None or self._asked_urgently:
            return False
        wanted = self._tuner.wanted(now)
        return wanted is not None and wanted.rises

    def _go_on(self, now: float, acts: list[Act]) -> None:
        """Take the next step of a change, where what is in force has come about."""
        change = self._change
        assert change is not None  # noqa: S101
        if not missing(self.plan, self.telemetry.instances) or change.fresh:
            if change.over:
                self._change = None
                self.decisions.note(now, "step", f"changed: {change.reason}")
                return
            self._put(change.take(now), change.reason, acts)
        elif change.late(now):
            self._change = None
            waited = ", ".join(missing(self.plan, self.telemetry.instances)[:3])
            self.decisions.note(now, "step", f"given up, as it still waits for {waited}: {change.reason}", urgent=True)

    def _put(self, plan: Plan, reason: str, acts: list[Act]) -> None:
        self.plan = self.devices.speeds.relabelled(plan, self.task.fleet)
        acts.append(PutInForce(plan=self.plan, reason=reason))

    def _ask_plan(self, now: float, acts: list[Act]) -> None:
        self._asked_rates = self._rates(now)
        urgent, must = self.decisions.taken()
        self._asked_urgently, self._change, self._asked_at = bool(urgent), None, now
        self._asked_classes = self._classes(now)
        crowded = self._crowded(now)
        task = at_rates(self.devices.usable(now), self._asked_rates)
        workloads = tuple(replace(each, classes=self._asked_classes[each.graph.pipeline]) for each in task.workloads)
        self._asked = Question(
            task=replace(task, workloads=workloads),
            now=self.plan,
            reason=urgent or ("time for a plan, in a crowd" if crowded else "time for a plan"),
            must=must,
            horizon_s=0.0 if crowded else None,
            aim=self.settings.aim,
            reserve=self.settings.reserve,
            latency=self.settings.latency,
            accuracies=self.settings.accuracies,
        )
        self._stale = False
        acts.append(Ask(question=self._asked))


def _served(proposal: Proposal) -> tuple[str, ...]:
    if proposal.served == 1.0:
        return ()
    return (f"the fleet serves no more than {proposal.served:.0%} of the load; the rest is refused",)

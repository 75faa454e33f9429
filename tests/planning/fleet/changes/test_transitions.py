"""Transitions: they end in the new plan, keep up with the load on the way, and cost what they are said to."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.arrivals.poisson import poisson
from heterosis.planning.fleet import Task
from heterosis.planning.fleet.changes.contents import contents, present
from heterosis.planning.fleet.changes.headroom import Headroom, load_of, needed
from heterosis.planning.fleet.changes.transitions import Transition, calls_w, transition
from heterosis.planning.fleet.tuning.retuning import at_rates
from heterosis.scheduling import InstanceDown, InstanceReady, PlanChanged, Scheduler, StartInstance, StopInstance
from heterosis.scheduling.states import InstanceState
from heterosis.simulation import Outcome, Power, Setting, Simulator, workload
from heterosis.terms import Energy, Fleet, PipelinePlan, Placement, Plan, Prediction, Quality
from heterosis.terms.errors import UsageError
from heterosis.testing.two_kinds import DEVICES, draw, one_mode, tasks, turning

seeds = st.integers(0, 10_000)


class Followed:
    """A scheduling core that is led through a transition, its instances loading as long as they were measured to."""

    def __init__(self, old: Plan, way: Transition) -> None:
        """Start with the old plan, all of it ready."""
        self.core = Scheduler(old)
        self.way = way
        self.loads = {(point.configuration, point.batch): point.load_ms / 1e3 for point in way.steps[0].plan.points}
        self.coming: list[tuple[float, str]] = []
        self.change(old, 0.0)
        self.come(float("inf"), 0.0)

    def change(self, plan: Plan, now: float) -> None:
        """Put a plan in force."""
        for effect in self.core.handle(PlanChanged(plan=plan), now):
            match effect:
                case StartInstance(placement=placement):
                    ready_at = now + self.loads.get((placement.configuration, placement.max_batch), 0.0)
                    self.coming.append((ready_at, placement.instance))
                case StopInstance(instance=instance):
                    self.coming = [each for each in self.coming if each[1] != instance]
                    self.core.handle(InstanceDown(instance=instance, reason="stopped"), now)

    def come(self, until: float, now: float) -> None:
        """Let instances become ready."""
        for at, name in sorted(self.coming):
            if at <= until:
                self.core.handle(InstanceReady(instance=name), max(at, now) if until < float("inf") else now)
        self.coming = [each for each in self.coming if each[0] > until]

    def ready(self) -> list[Placement]:
        """What is ready."""
        found = self.core.instances.values()
        return [each.placement for each in found if each.state is InstanceState.READY]

    def moments(self) -> Iterator[list[Placement]]:
        """Go through the transition; tell what is ready after each plan, and before the next."""
        now = 0.0
        yield self.ready()
        for step in self.way.steps:
            before, now = now, now + step.after_s
            self.come(now, before)
            yield self.ready()
            self.change(step.plan, now)
            yield self.ready()


@given(seeds, st.sampled_from([None, 450_000_000]))
@settings(max_examples=60, deadline=None)
def test_a_transition_ends_in_the_new_plan_and_no_device_is_asked_for_too_much(seed: int, memory: int | None) -> None:
    """At each step, every device is in one power mode, and its memory holds what it hosts."""
    task, old, new = draw(seed, memory=memory)
    way = transition(task, old, new)
    assert way.steps[-1].plan == new
    assert way.steps[0].after_s == 0.0
    for step in way.steps:
        for of in contents(step.plan.placements).values():
            assert len({placement.configuration.power_mode for placement in of}) == 1
            assert memory is None or 200_000_000 * len({placement.configuration for placement in of}) <= memory
        for placement in step.plan.placements:
            assert step.plan.variant(placement.configuration)


@given(seeds, st.sampled_from([None, 450_000_000]), st.floats(0.1, 3.0))
@settings(max_examples=60, deadline=None)
def test_what_is_ready_in_the_core_always_bears_what_the_transition_says(
    seed: int, memory: int | None, times: float
) -> None:
    """No moment is worse than the worst that was foretold; where devices need not turn, none is worse than needed."""
    task, old, new = draw(seed, memory=memory)
    load = {stage: times * per_s for stage, per_s in load_of(new).items()}
    way = transition(task, old, new, load)
    headroom = Headroom((*old.points, *new.points), load)
    found = [headroom.of(ready) for ready in Followed(old, way).moments()]
    assert min(found) >= way.headroom * (1 - 1e-6)
    assert found[-1] == pytest.approx(headroom.of(new.placements))
    enough = needed(headroom, old.placements, new.placements)
    if not turning(old, new) and memory is None:
        assert way.headroom >= enough * (1 - 1e-6)


@pytest.mark.parametrize(("share", "waves"), [(0.2, 2), (0.6, 3), (0.65, 4)])
def test_devices_change_their_mode_as_many_at_a_time_as_the_load_can_spare(share: float, waves: int) -> None:
    """With four devices that all turn, and a load of which fewer and fewer can be spared."""
    task, options = tasks()
    both = [one_mode(task, options, mode, DEVICES, 1.0) for mode in ("mode0", "mode1")]
    least = min(Headroom(plan.points, load_of(plan)).of(plan.placements) for plan in both)
    old, new = (one_mode(task, options, mode, DEVICES, share * least) for mode in ("mode0", "mode1"))
    way = transition(task, old, new)
    assert way.headroom * 0.9 >= 1
    assert len(way.steps) == 2 * waves + 1


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_plan_that_changes_nothing_takes_nothing(seed: int) -> None:
    """One step, no time, no joules."""
    task, plan, _ = draw(seed)
    way = transition(task, plan, plan)
    assert (way.starting_j, way.overlap_j, way.takes_s, len(way.steps)) == (0.0, 0.0, 0.0, 1)


def test_what_is_lost_serves_no_more() -> None:
    """Instances of a device that the fleet no longer has are not counted on."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 2, 10.0)
    first, second = task.fleet.nodes
    left = msgspec.structs.replace(
        task, fleet=Fleet(nodes=(msgspec.structs.replace(first, devices=first.devices[1:]), second))
    )
    way = transition(left, plan, present(left, plan))
    assert way.headroom == pytest.approx(transition(task, plan, plan).headroom / 2)


def test_one_name_for_two_instances_is_refused() -> None:
    """The core could not tell them apart."""
    task, options = tasks()
    old = one_mode(task, options, "mode0", 1, 10.0)
    other = msgspec.structs.replace(old.placements[0], max_batch=2)
    new = msgspec.structs.replace(old, placements=(other, *old.placements[1:]))
    with pytest.raises(UsageError, match="not the same in both"):
        transition(task, old, new)


def moments(way: Transition, begin: float) -> list[tuple[float, Plan]]:
    """When each plan is put in force."""
    return list(
        zip(
            accumulate((step.after_s for step in way.steps[1:]), initial=begin),
            (each.plan for each in way.steps),
            strict=True,
        )
    )


def simulate(task: Task, plan: Plan, changes: Sequence[tuple[float, Plan]], rate: float, until_s: float) -> Outcome:
    """Serve random arrivals while plans change."""
    setting = Setting(power=Power(fleet=task.fleet), plan_changes=changes)
    times = poisson(rate, until_s, seed=4)
    return Simulator(plan, setting=setting).run(workload(times, task.workloads[0].graph, seed=4))


def test_requests_are_answered_in_time_while_all_devices_change_their_mode() -> None:
    """As a transition, as many as ever; at once, dozens are late."""
    task, options = tasks()
    rate = 60.0
    task = at_rates(task, {"drawn": rate})
    old, new = (one_mode(task, options, mode, DEVICES, rate) for mode in ("mode0", "mode1"))
    way = transition(task, old, new)
    assert way.headroom * 0.9 >= 1
    ways: list[list[tuple[float, Plan]]] = [[], moments(way, 5.0), [(5.0, new)]]
    never, gradually, at_once = (simulate(task, old, each, rate, 15.0) for each in ways)
    assert gradually.attainment >= never.attainment - 0.005
    assert at_once.attainment < gradually.attainment - 0.01


def test_the_joules_that_a_change_costs_are_those_of_the_simulator() -> None:
    """What is on meanwhile, and what loads, as its meter counts them: fewer devices, more of them, other ones."""
    task, options = tasks()
    two, four, others = (
        one_mode(task, options, "mode0", count, 20.0, kind) for count, kind in ((2, 0), (4, 0), (2, 1))
    )
    for before, after in ((two, four), (four, two), (two, others), (others, four)):
        way = transition(task, before, after)
        outcome = simulate(task, before, moments(way, 0.0), 0.5, 100.0)
        idle, starting, dynamic = outcome.joules.idle.joules, outcome.joules.starting.joules, calls_w(before, after)
        assert idle is not None
        assert starting is not None
        assert dynamic is not None
        assert way.cost_j is not None
        assert before.predicted.power.joules is not None
        assert after.predicted.power.joules is not None
        calls_j = way.takes_s * (dynamic - (calls_w(after, after) or 0.0))
        new_idle_j = outcome.duration_s * (after.predicted.power.joules - (calls_w(after, after) or 0.0))
        assert idle + starting == pytest.approx(new_idle_j + way.cost_j - calls_j)


def test_what_calls_draw_is_added_up_pipeline_by_pipeline() -> None:
    """Where requests of one take ten times as much as those of another, their mean says nothing of other mixes."""
    task, options = tasks()
    plan = one_mode(task, options, "mode0", 2, 20.0)

    def mixed(cheap_rps: float, dear_rps: float) -> Plan:
        parts = [("cheap", cheap_rps, 1.0), ("dear", dear_rps, 10.0)]
        pipelines = tuple(
            PipelinePlan(
                pipeline=name,
                slo=plan.slo,
                rate_rps=rate_rps,
                stages=(name,),
                predicted=Prediction(latency_ms=1.0, dynamic_energy_per_request=Energy(joules, Quality.MODELLED)),
            )
            for name, rate_rps, joules in parts
        )
        total = cheap_rps + dear_rps
        mean = Energy((cheap_rps + 10 * dear_rps) / total, Quality.MODELLED)
        predicted = msgspec.structs.replace(plan.predicted, dynamic_energy_per_request=mean)
        return msgspec.structs.replace(plan, rate_rps=total, pipelines=pipelines, predicted=predicted)

    crowd, after = mixed(90.0, 10.0), mixed(10.0, 10.0)
    assert calls_w(crowd, after) == calls_w(after, after) == pytest.approx(110.0)

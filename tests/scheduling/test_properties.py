"""Every policy under random events: nothing lost, nothing run twice, nothing on a dead or full instance."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Effect,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    Record,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    Scheduler,
    SetTimer,
    SplitCall,
    StartInstance,
    StopInstance,
    TimerFired,
    validate,
)
from heterosis.scheduling.policies import POLICIES, WORK_CONSERVING
from heterosis.simulation import replay
from heterosis.terms import Call, Request
from heterosis.testing import make_plan, make_pool


class AnyRun(RuleBasedStateMachine):
    """A driver that does anything it may, in any order, and keeps its own books."""

    policy: str

    @initialize(
        slots=st.integers(1, 3),
        base=st.sampled_from([1.0, 10.0]),
        alike=st.booleans(),
        shared=st.booleans(),
    )
    def begin(self, slots: int, base: float, alike: bool, shared: bool) -> None:  # noqa: FBT001
        """Start a plan: two stages on machines that are alike, or one on machines that are not.

        Stages take turns on what slots they share; or else instances have none, and the operating system shares.
        """
        policy = self.policy
        if alike:
            self.plan = make_plan({"a": base, "b": 2 * base}, slots=slots, policy=policy)
        else:
            times = {"fast": {1: base, 10: 2 * base}, "slow": {1: base / 2, 10: 10 * base}}
            machines = {f"{kind}-{slot}": times[kind] for slot in range(slots) for kind in times}
            accuracies = {"fast": 0.9, "slow": 0.8}
            self.plan = make_pool(machines, max_batch=4, policy=policy, accuracies=accuracies)
        if not shared:
            placements = tuple(msgspec.structs.replace(each, slots=()) for each in self.plan.placements)
            self.plan = msgspec.structs.replace(self.plan, placements=placements)
        self.scheduler = Scheduler(self.plan)
        self.now = 0.0
        self.records: list[Record] = []
        self.open: set[str] = set()
        self.singles: set[str] = set()
        """Requests that came with their only call."""
        self.running: dict[int, tuple[str, tuple[str, ...]]] = {}
        self.settled: set[str] = set()
        self.calls = 0
        self.items: dict[str, int] = {}
        self.loading: set[str] = set()
        self.stopping: set[str] = set()
        self.timers: list[str] = []
        self.handle(PlanChanged(plan=self.plan))

    def handle(self, event: Event) -> None:
        """Feed the scheduler and note what it wants."""
        effects: Sequence[Effect] = self.scheduler.handle(event, self.now)
        self.records.append(Record(at=self.now, event=event, effects=tuple(effects)))
        if isinstance(event, RequestArrived):
            self.open.add(event.request.id)
        for effect in effects:
            match effect:
                case RunBatch():
                    self.run_batch(effect)
                case SplitCall(call=call, request=request, parts=parts):
                    self.singles.discard(request)
                    assert call not in self.settled, "split after it was settled"
                    assert sum(part.size for part in parts) == self.items[call], "items are lost, or made up"
                    self.items |= {part.id: part.size for part in parts}
                    self.settled.add(call)
                case DropCall(call=call):
                    self.settled.add(call)
                case RefuseRequest(request=request):
                    self.open.discard(request)
                case StartInstance(placement=placement):
                    self.loading.add(placement.instance)
                case StopInstance(instance=instance):
                    assert all(on != instance for on, _ in self.running.values()), "stopped with a batch in it"
                    self.loading.discard(instance)
                    self.stopping.add(instance)
                case SetTimer(key=key):
                    self.timers.append(key)

    def run_batch(self, effect: RunBatch) -> None:
        """Run calls on an instance."""
        assert effect.instance not in self.loading | self.stopping
        for call in effect.calls:
            assert call not in self.settled, "run again after it was settled"
            assert all(call not in held for _, held in self.running.values()), "run twice at a time"
        self.running[effect.batch] = (effect.instance, effect.calls)

    @rule(wait=st.floats(0, 0.05))
    def pass_time(self, wait: float) -> None:
        """Let time pass."""
        self.now += wait

    @rule(deadline=st.floats(0.001, 0.5), divisible=st.booleans())
    def arrive(self, deadline: float, divisible: bool) -> None:  # noqa: FBT001
        """Let a request arrive."""
        name, until = f"r{len(self.records)}", self.now + deadline
        request = Request(id=name, pipeline="toy", arrival=self.now, deadline=until, divisible=divisible)
        self.handle(RequestArrived(request=request))

    @rule(
        deadline=st.floats(0.001, 0.5),
        divisible=st.booleans(),
        stage=st.sampled_from("ab"),
        size=st.sampled_from([1, 1, 3, 20]),
    )
    def arrive_with_call(self, deadline: float, divisible: bool, stage: str, size: int) -> None:  # noqa: FBT001
        """Let a request arrive with its only call."""
        name, until = f"r{len(self.records)}", self.now + deadline
        self.singles.add(name)
        self.items[f"{name}/0"] = size
        request = Request(id=name, pipeline="toy", arrival=self.now, deadline=until, size=size, divisible=divisible)
        self.handle(RequestArrived(request=request, call=Call(id=f"{name}/0", request=name, stage=stage, size=size)))

    @precondition(lambda self: self.open - self.singles)
    @rule(data=st.data(), stage=st.sampled_from("ab"), size=st.sampled_from([1, 1, 3, 20]))
    def call(self, data: st.DataObject, stage: str, size: int) -> None:
        """Open a call of a request in progress."""
        request = data.draw(st.sampled_from(sorted(self.open - self.singles)))
        self.calls += 1
        name = f"{request}/{self.calls}"
        self.items[name] = size
        self.handle(CallReady(call=Call(id=name, request=request, stage=stage, size=size)))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """End a request, whatever it still has open."""
        request = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(request)
        self.handle(RequestEnded(request=request, outcome="cancelled"))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), run_ms=st.floats(0.1, 100))
    def finish(self, data: st.DataObject, run_ms: float) -> None:
        """Finish a batch, perhaps with a failed call."""
        batch = data.draw(st.sampled_from(sorted(self.running)))
        _, calls = self.running.pop(batch)
        self.settled.update(calls)
        self.open -= self.singles & {call.partition("/")[0] for call in calls}
        failed = data.draw(st.sampled_from([(), calls[:1]]))
        self.handle(BatchDone(batch=batch, run_ms=run_ms, failed=failed))

    @precondition(lambda self: self.loading)
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        """Let an instance get ready."""
        instance = data.draw(st.sampled_from(sorted(self.loading)))
        self.loading.remove(instance)
        self.handle(InstanceReady(instance=instance))

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """Let any live instance die."""
        alive = [name for name, record in self.scheduler.instances.items() if record.state.value != "down"]
        if not alive:
            return
        instance = data.draw(st.sampled_from(sorted(alive)))
        self.running = {batch: held for batch, held in self.running.items() if held[0] != instance}
        self.loading.discard(instance)
        self.stopping.discard(instance)
        self.handle(InstanceDown(instance=instance, reason="died"))

    @precondition(lambda self: self.timers)
    @rule()
    def fire(self) -> None:
        """Let the first timer fire."""
        self.handle(TimerFired(key=self.timers.pop(0)))

    @precondition(lambda self: not self.stopping)
    @rule(data=st.data())
    def replan(self, data: st.DataObject) -> None:
        """Change the plan to any part of the first one."""
        kept = data.draw(st.lists(st.sampled_from(self.plan.placements), unique_by=lambda each: each.instance))
        self.handle(PlanChanged(plan=msgspec.structs.replace(self.plan, placements=tuple(kept))))

    @invariant()
    def holds(self) -> None:
        """The books agree at every moment."""
        if hasattr(self, "scheduler"):
            validate(self.scheduler)
            if self.policy in WORK_CONSERVING:
                self.conserves_work()

        if hasattr(self, "scheduler"):
            assert self.scheduler.requests.keys() == self.open

    def conserves_work(self) -> None:
        """No call waits while an instance that could run it is idle."""
        for stage, queue in self.scheduler.queues.items():
            for configuration in self.scheduler.capacity.configurations[stage]:
                assert not (queue and self.scheduler.pools.idle[configuration])

    def teardown(self) -> None:
        """The same events give the same effects again."""
        if hasattr(self, "records"):
            assert replay(self.records) is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_any_run_of_any_policy_keeps_the_books(policy: str) -> None:
    """Whatever happens in whatever order: see `AnyRun`."""
    machine = type("AnyRunOfOne", (AnyRun,), {"policy": policy})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

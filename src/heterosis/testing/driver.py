"""Drives a scheduler event by event: no loop, no clock, no sleep."""

from heterosis.scheduling import (
    BatchDone,
    CallReady,
    Effect,
    Event,
    InstanceReady,
    PlanChanged,
    RequestArrived,
    RunBatch,
    Scheduler,
    validate,
)
from heterosis.terms import Call, Plan, Request


class Driver:
    """Feeds a scheduler, keeps the time, and checks the scheduler's books after every event."""

    def __init__(self, plan: Plan) -> None:
        """Start every planned instance."""
        self.plan = plan
        self.scheduler = Scheduler(plan)
        self.now = 0.0
        self(PlanChanged(plan=plan))
        for placement in plan.placements:
            self(InstanceReady(instance=placement.instance))

    def __call__(self, event: Event, after: float = 0.0) -> list[Effect]:
        """Handle an event some seconds later; return the effects."""
        self.now += after
        effects = self.scheduler.handle(event, self.now)
        validate(self.scheduler)
        return effects

    def arrive(
        self, name: str, *, deadline: float = 0.1, size: int = 1, divisible: bool = False, call: Call | None = None
    ) -> list[Effect]:
        """Let a request arrive, maybe with its only call; ``deadline`` counts from now."""
        until = self.now + deadline
        request = Request(id=name, pipeline="toy", arrival=self.now, deadline=until, size=size, divisible=divisible)
        return self(RequestArrived(request=request, call=call))

    def call(self, request: str, stage: str, number: int = 0, *, size: int = 1) -> list[Effect]:
        """Open a call."""
        return self(CallReady(call=Call(id=f"{request}/{number}", request=request, stage=stage, size=size)))

    def ask(
        self,
        request: str,
        stage: str = "a",
        *,
        deadline: float = 0.1,
        size: int = 1,
        divisible: bool = False,
        after: float = 0.0,
    ) -> list[Effect]:
        """Let a request arrive some seconds later that makes one call, and open that; return all effects."""
        self.now += after
        arrived = self.arrive(request, deadline=deadline, size=size, divisible=divisible)
        return arrived + self.call(request, stage, size=size)

    def ask_at_once(
        self, request: str, stage: str = "a", *, deadline: float = 0.1, size: int = 1, divisible: bool = False
    ) -> list[Effect]:
        """Let a request arrive with its only call."""
        call = Call(id=f"{request}/0", request=request, stage=stage, size=size)
        return self.arrive(request, deadline=deadline, size=size, divisible=divisible, call=call)

    def done(self, instance: str, *, run_ms: float = 10.0, after: float = 0.0) -> list[Effect]:
        """Finish the first batch of an instance."""
        batch = self.scheduler.instances[instance].batches[0].id
        return self(BatchDone(batch=batch, run_ms=run_ms), after=after)


def runs(effects: list[Effect]) -> list[tuple[str, tuple[str, ...]]]:
    """List the batches among effects: the instance, and the requests of the calls in each."""
    return [
        (effect.instance, tuple(call.partition("/")[0] for call in effect.calls))
        for effect in effects
        if isinstance(effect, RunBatch)
    ]

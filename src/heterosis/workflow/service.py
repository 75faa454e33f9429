"""A plan, served from this process."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from heterosis.pipeline import Pipeline
from heterosis.scheduling.policies import make_policy
from heterosis.terms import Device, OperatingPoint, Placement, Plan
from heterosis.terms.errors import UsageError
from heterosis.terms.joining import bare_name
from heterosis.workflow.fallback import fitted
from heterosis.workflow.hardware import held
from heterosis.workflow.warm_up import warm_up_batches

if TYPE_CHECKING:
    from heterosis.serving.server import Listening, Options


def with_policy(plan: Plan, policy: str) -> Plan:
    """Put another policy in a plan. Raise UsageError where there is no such policy."""
    make_policy(policy)
    return msgspec.structs.replace(plan, policy=policy)


class Service:
    """A pipeline, how it shall be served, and what its instances warm up with."""

    def __init__(
        self,
        pipeline: Pipeline,
        target: str,
        plan: Plan,
        device: Device,
        inputs: Mapping[str, Sequence[tuple[Any, ...]]],
    ) -> None:
        """Refuse a plan that is another pipeline's; ``inputs`` are traced calls by stage."""
        stages = {stage.name for stage in pipeline.stages}
        planned = {placement.configuration.stage for placement in plan.placements}
        if plan.pipeline != pipeline.name or planned != stages:
            raise UsageError(
                f"the plan is for pipeline {plan.pipeline!r} with the stages {sorted(planned)}, but {target} has "
                f"{pipeline.name!r} with {sorted(stages)}: plan it anew"
            )
        for variant in {plan.variant(placement.configuration) for placement in plan.placements}:
            if variant.artifact and not Path(variant.artifact).exists():
                raise UsageError(f"the plan needs {variant.artifact}, which is not there: plan it anew")
        self.pipeline = pipeline
        self.plan = with_policy(plan, plan.policy)
        self._target = target
        self._device = device
        self._inputs = inputs

    def warm_up(self, placement: Placement, points: Sequence[OperatingPoint]) -> list[list[tuple[Any, ...]]]:
        """Return what an instance runs before it takes requests; ``points`` tell how long that takes."""
        return warm_up_batches(placement, points, self._inputs.get(bare_name(placement.configuration.stage), ()))

    def run(self, options: "Options", on_ready: Callable[["Listening"], object] = lambda _: None) -> None:
        """Serve until SIGINT or SIGTERM; ``on_ready`` is told where it listens once every instance is warm."""
        from heterosis.devices import node_name
        from heterosis.serving.models import Servable
        from heterosis.serving.repository import FixedSource
        from heterosis.serving.server import run, serve

        plan = fitted(self.plan, node_name(), self._device, structlog.get_logger().warning)
        servable = Servable(pipeline=self.pipeline, target=self._target, plan=plan, warm_up=self.warm_up)
        with held([self._device]) as (meter, modes):
            here = any(placement.node == node_name() for placement in self.plan.placements)
            power_modes = modes if here else None
            run(serve(FixedSource(servable), meter, options=options, power_modes=power_modes, on_ready=on_ready))

"""A pipeline served on this machine by a plan that follows the load."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from heterosis.control import Controller, Measure, Settings
from heterosis.control.speeds import profiled
from heterosis.planning.fleet import Objective, Task, Workload, to_plan
from heterosis.planning.fleet.hosting import hosted
from heterosis.planning.fleet.task import Combination
from heterosis.profiling.remeasuring import remeasure
from heterosis.terms import Device, Fleet, OperatingPoint, Plan, PowerMode
from heterosis.terms.joining import bare_name, part_of, qualified_name, with_pipelines
from heterosis.workflow.chain import Workflow
from heterosis.workflow.fleets import plan_fleet
from heterosis.workflow.hardware import held
from heterosis.workflow.replanning import PlannerProcess
from heterosis.workflow.replanning.answering import judged
from heterosis.workflow.served import stretched
from heterosis.workflow.service import with_policy

if TYPE_CHECKING:
    from heterosis.serving.server import Listening, Options


class LoopedService:
    """A pipeline, planned for a rate to begin with, and then for what comes."""

    def __init__(self, workflow: Workflow, rate_rps: float, settings: Settings, *, policy: str | None = None) -> None:
        """Profile and plan. Raise InfeasibleError where there is no plan for this rate."""
        self.workflow, self.settings, self._policy = workflow, settings, policy
        self._begin(*workflow.workload(rate_rps, self._begin))

    def _begin(self, workload: Workload, accuracies: Mapping[Combination, float]) -> Plan:
        """Plan for what is known; return the plan by the pipeline's own names."""
        key = self.workflow.pipeline.name
        self.accuracies: Mapping[str, Mapping[Combination, float]] = {
            key: {
                tuple((qualified_name(key, stage), name) for stage, name in each): accuracy
                for each, accuracy in accuracies.items()
            }
        }
        self.task = Task(
            workloads=(hosted(workload, key),),
            fleet=on_anyway(self.workflow.fleet),
            objectives=(objective(workload.profile.points),),
            mix=False,
            horizon_s=self.settings.horizon_s,
            overhead=self.workflow.overhead(workload.profile),
        )
        task = judged(self.task, self.accuracies)
        self.answer = plan_fleet(task)
        plan = to_plan(task, self.answer.allotment)
        self.plan = plan if self._policy is None else with_policy(plan, self._policy)
        return part_of(with_pipelines(self.plan), key)

    def run(self, options: "Options", on_ready: "Callable[[Listening], object]" = lambda _: None) -> None:
        """Serve until SIGINT or SIGTERM; ``on_ready`` is told where it listens once every instance is warm."""
        from heterosis.serving.server import run

        run(self._serve(options, on_ready))

    async def _serve(self, options: "Options", on_ready: "Callable[[Listening], object]") -> None:
        from heterosis.serving.adaptation import Adaptation
        from heterosis.serving.models import Servable
        from heterosis.serving.repository import FixedSource
        from heterosis.serving.server import serve

        pipeline = self.workflow.pipeline
        part = part_of(with_pipelines(self.plan), pipeline.name)
        service = self.workflow.service(part)
        servable = Servable(pipeline=pipeline, target=self.workflow.target, plan=part, warm_up=service.warm_up)
        settings = replace(self.settings, accuracies=self.accuracies, latency=self.answer.latency, remeasure=True)
        measurer = MachineMeasurer(self)
        controller = Controller(self.task, self.plan, self.answer.allotment, settings=settings, begin=time.monotonic())
        with held(self.workflow.fleet.devices) as (meter, modes):
            async with PlannerProcess() as planner:
                await serve(
                    FixedSource(servable),
                    meter,
                    options=options,
                    power_modes=modes,
                    adaptation=Adaptation(controller, planner, measurer=measurer),
                    on_ready=on_ready,
                )


class MachineMeasurer:
    """Measures this machine anew, beside what it serves, and puts that into the store."""

    def __init__(self, service: LoopedService) -> None:
        """Know what is served."""
        self._workflow, self._overhead = service.workflow, service.task.overhead
        self._points = service.task.workloads[0].profile.points  # by the names that the router has for stages

    async def measure(self, act: Measure) -> Sequence[OperatingPoint]:
        """See `heterosis.serving.adaptation.Measurer`. What is returned is as it is when served."""
        wanted = {profiled(each.configuration): each.max_batch for each in act.placements}
        places = [
            (replace(each.configuration, stage=bare_name(each.configuration.stage)), each.batch)
            for each in self._points
            if each.batch <= wanted.get(each.configuration, 0)
        ]
        workflow = self._workflow
        found = await asyncio.to_thread(
            remeasure,
            workflow.target,
            workflow.variants,
            workflow.trace.inputs,
            workflow.fleet.devices[0],
            places,
            store=workflow.store,
        )
        key = workflow.pipeline.name
        return [
            replace(
                each, configuration=replace(each.configuration, stage=qualified_name(key, each.configuration.stage))
            )
            for each in stretched(found, workflow.trace.graph, self._overhead)
        ]


def objective(points: Iterable[OperatingPoint]) -> Objective:
    """Return what to have least of: energy, where it is known of every point, else busy slots."""
    return Objective.ENERGY if all(each.dynamic_energy.joules is not None for each in points) else Objective.BUSY


def on_anyway(fleet: Fleet) -> Fleet:
    """Return devices that draw nothing when idle: those of the machine that serves are on, whatever is planned."""

    def mode(each: PowerMode) -> PowerMode:
        idle_w, active_w = each.idle_power_w, each.active_power_w
        above_w = None if idle_w is None or active_w is None else active_w - idle_w
        return replace(each, idle_power_w=0.0, active_power_w=above_w)

    def device(each: Device) -> Device:
        return replace(each, type=replace(each.type, power_modes=tuple(map(mode, each.type.power_modes))))

    return Fleet(nodes=tuple(replace(node, devices=tuple(map(device, node.devices))) for node in fleet.nodes))

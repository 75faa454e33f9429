"""A server of published pipelines on an emulated fleet."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from heterosis.control import Settings
from heterosis.pipeline import load_pipeline
from heterosis.planning.fleet import Task, Workload
from heterosis.terms import UNKNOWN, Energy, Fleet, Plan
from heterosis.terms.joining import part_of, with_pipelines
from heterosis.workflow.rehearsal.emulation import Artifacts, write_pipeline
from heterosis.workflow.rehearsal.launching import FleetLauncher
from heterosis.workflow.rehearsal.measuring import EmulatedMeasurer
from heterosis.workflow.rehearsal.setting import account_of, controller_of, first_plan, joint_task, power_of
from heterosis.workflow.replanning import PlannerProcess

if TYPE_CHECKING:
    from heterosis.serving.adaptation import Adaptation
    from heterosis.serving.server import Listening, Options


class AccountMeter:
    """Tells a server's metrics what the loop's account has counted."""

    period_s = 10.0

    def __init__(self, adaptation: "Adaptation") -> None:
        """Ask this loop."""
        self._adaptation = adaptation

    def read(self) -> Mapping[str, Energy]:
        """Joules so far, by domain; modelled. Loads and changes of modes count as dynamic."""
        joules = self._adaptation.joules
        if joules is None:
            return {"idle": UNKNOWN, "dynamic": UNKNOWN}
        return {"idle": joules.idle, "dynamic": joules.dynamic + joules.starting + joules.switching}

    def cpu_seconds(self) -> float:
        """CPU time of this process; that of emulated workers says nothing."""
        return time.process_time()


class EmulatedService:
    """Published pipelines, ready to be served on a fleet of emulated devices."""

    def __init__(self, workloads: list[Workload], fleet: Fleet, *, settings: Settings, folder: Path) -> None:
        """Plan. Artifacts are kept in the folder, where ``faults.json`` slows devices down or kills them."""
        self.settings = settings
        self.task: Task = joint_task(workloads, fleet, settings.horizon_s)
        self.answer, self.plan = first_plan(self.task)
        self.workloads = workloads
        self._folder = folder

    def run(
        self, options: "Options", *, adapt: bool, on_ready: "Callable[[Listening], object]" = lambda _: None
    ) -> None:
        """Serve until SIGINT or SIGTERM."""
        from heterosis.serving.server import run

        self._folder.mkdir(parents=True, exist_ok=True)
        run(self._serve(self._folder.resolve(), options, adapt=adapt, on_ready=on_ready))

    async def _serve(
        self, folder: Path, options: "Options", *, adapt: bool, on_ready: "Callable[[Listening], object]"
    ) -> None:
        from heterosis.serving.adaptation import Adaptation
        from heterosis.serving.models import Servable
        from heterosis.serving.repository import FixedSource
        from heterosis.serving.server import serve

        points = [point for workload in self.task.workloads for point in workload.profile.points]
        launcher = FleetLauncher(self.task.fleet, power_of(self.task).rest_s)
        artifacts, account = Artifacts(points, folder, launcher.kept), account_of(self.task)
        servables = []
        for workload in self.workloads:
            file = str(write_pipeline(workload, folder))
            servables.append(
                Servable(
                    pipeline=load_pipeline(file),
                    target=file,
                    plan=self._part(workload.graph.pipeline),
                    warm_up=lambda *_: (),
                    variant_for=artifacts.variant_for,
                )
            )
        settings = replace(self.settings, remeasure=True)
        controller = controller_of(self.task, self.answer, self.plan, settings, time.monotonic())
        async with PlannerProcess() as planner:
            measurer = EmulatedMeasurer(artifacts, points)
            adaptation = Adaptation(controller, planner, account, measurer=measurer, decides=adapt)
            await serve(
                FixedSource(*servables),
                AccountMeter(adaptation),
                options=options,
                launcher=launcher,
                adaptation=adaptation,
                on_ready=on_ready,
            )

    def _part(self, key: str) -> Plan:
        return part_of(with_pipelines(self.plan), key)

"""What a server does at this moment: what runs where, load against capacity, attainment, joules, decisions."""

import time
from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from heterosis.control import Noted
from heterosis.control.telemetry import ClassFigures
from heterosis.scheduling.state import Unit
from heterosis.scheduling.states import InstanceState
from heterosis.serving.adaptation import Adaptation
from heterosis.serving.metrics import Metrics
from heterosis.serving.models import Model
from heterosis.serving.repository import Repository
from heterosis.serving.rollout import Rollout
from heterosis.terms import Energy
from heterosis.terms.joining import with_pipelines

LAST = 10
"""Decisions that are told."""


class ClassStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of one class of a pipeline."""

    name: str
    arrivals_rps: float
    """Over the last minute."""
    attainment_minute: float | None
    min_accuracy: float | None
    """Its own floor, or else its pipeline's."""
    accuracy: float | None
    """Of the variants that served it over the last minute; None where unknown, or nothing came."""


class PipelineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline. What is None is not known: the server does not watch, or nothing came."""

    name: str
    slo_ms: float
    percentile: float
    min_accuracy: float | None
    accuracy: float | None
    """Expected of the plan in force."""
    planned_rps: float
    """Requests per second that the plan in force is for."""
    arrivals_rps: float | None = None
    """Over the last minute."""
    capacity_rps: float | None = None
    """What the instances in force bear with no time left, at the mix that was planned for."""
    attainment_minute: float | None = None
    attainment_day: float | None = None
    """Share of the requests that ended in time, refused ones being misses; since the start where that is no day ago."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    """Of answers, since the start."""
    requests: int = 0
    in_time: int = 0
    refused: int = 0
    waiting_calls: int = 0
    classes: tuple[ClassStatus, ...] = ()


class TrialStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model that serves a share of its requests until it is known whether it may serve all."""

    name: str
    version: str
    former: str
    """The version that it is to replace."""
    share: float
    """Of the requests, 0..1."""
    requests: int
    """That it has served so far."""
    wanted: int
    """That it must have served before it is promoted."""
    wrong: int
    """That failed or were late."""
    former_requests: int
    former_wrong: int
    differing: int | None
    """Answers that were not the former version's; None where they are not compared."""


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Instances that are alike."""

    stage: str
    variant: str
    state: str
    count: int


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One device that has instances, or is held out."""

    node: str
    device: str
    type: str
    mode: str
    state: str
    """``active``, ``idle``, ``starting``, ``off`` or ``held out``."""
    busy: float | None = None
    """Share of its slots' time over the last minute, 0..1."""
    slowness: float = 1.0
    """Times as long as profiled that batches are taken to need."""
    instances: tuple[InstanceStatus, ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop decided, and how long ago."""

    ago_s: float
    what: str
    changed: bool
    reason: str
    saves_w: float | None = None
    cost_j: float | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A server at a moment."""

    adapting: bool
    """Whether the loop changes plans; otherwise the plan stays as it is."""
    uptime_s: float
    pipelines: tuple[PipelineStatus, ...]
    devices: tuple[DeviceStatus, ...]
    devices_off: int | None
    """Devices of the fleet without instances."""
    energy: Mapping[str, Energy]
    """Joules since the start, by domain, each with its quality."""
    changes: int = 0
    """How often the loop changed to another plan."""
    under_way: str = ""
    """Why plans are being changed right now."""
    trials: tuple[TrialStatus, ...] = ()
    """Versions of models on trial."""
    decisions: tuple[Decision, ...] = ()
    """The latest first."""
    longest_stall_ms: float | None = None
    """The longest time for which the event loop was held up."""
    longest_own_stall_ms: float | None = None
    """Likewise, as far as the server's own work can have been the reason, and not that others had the cores."""


class StatusBoard:
    """Puts a server's status together when it is asked for."""

    def __init__(self, repository: Repository, metrics: Metrics, adaptation: Adaptation | None) -> None:
        """Look at these."""
        self._repository, self._metrics, self._adaptation = repository, metrics, adaptation
        self._begun_at = time.monotonic()

    async def read(self) -> Status:
        """Tell how things stand now."""
        now, adaptation = time.monotonic(), self._adaptation
        await self._metrics.read_meter()
        devices = self._devices(now)
        fleet = None if adaptation is None else adaptation.controller.task.fleet
        on = sum(each.state != "held out" for each in devices)
        status = Status(
            adapting=adaptation is not None and adaptation.decides,
            uptime_s=now - self._begun_at,
            pipelines=tuple(self._pipeline(model, now) for model in self._repository.models()),
            devices=tuple(devices),
            devices_off=None if fleet is None else len(fleet.devices) - on,
            energy=self._metrics.energy,
            trials=tuple(map(_trial, self._repository.rollouts.values())),
        )
        status = status if adaptation is None else _with_loop(status, adaptation)
        noted = sorted(
            (*self._repository.decisions, *(() if adaptation is None else adaptation.controller.decisions)),
            key=lambda each: each.at,
        )
        return replace(status, decisions=tuple(_told(each, now) for each in noted[: -LAST - 1 : -1]))

    def _pipeline(self, model: Model, now: float) -> PipelineStatus:
        key = model.key
        router = self._repository.router
        plan = with_pipelines(router.plan)
        planned = next((each for each in plan.pipelines if each.pipeline == key), None)
        slo = model.slo
        stages = () if planned is None else planned.stages
        found = PipelineStatus(
            name=model.name,
            slo_ms=slo.latency_ms,
            percentile=slo.percentile,
            min_accuracy=slo.min_accuracy,
            accuracy=None if planned is None else planned.predicted.accuracy,
            planned_rps=0.0 if planned is None else planned.rate_rps,
            waiting_calls=sum(len(router.scheduler.queues[each]) for each in stages if each in router.scheduler.queues),
        )
        return found if self._adaptation is None else self._watched(found, key, self._adaptation, now)

    def _watched(self, found: PipelineStatus, key: str, adaptation: Adaptation, now: float) -> PipelineStatus:
        """Add what only who watches knows."""
        controller = adaptation.controller
        of = [figures for (pipeline, _), figures in controller.telemetry.classes.items() if pipeline == key]
        rates, uptime_s = controller.planned_rates, now - self._begun_at
        minute, day = _summed(each.minute.sums(now) for each in of), _summed(each.day.sums(now) for each in of)
        most = max(of, key=lambda each: each.arrived, default=None)
        return replace(
            found,
            arrivals_rps=minute[0] / max(min(uptime_s, 60.0), 1.0),
            capacity_rps=controller.bears * rates[key] if key in rates else None,
            attainment_minute=minute[2] / minute[1] if minute[1] else None,
            attainment_day=day[2] / day[1] if day[1] else None,
            p50_ms=_ms(most, 50),
            p99_ms=_ms(most, 99),
            requests=sum(each.arrived for each in of),
            in_time=sum(each.in_time for each in of),
            refused=sum(each.refused.total() for each in of),
            classes=tuple(self._classes(key, adaptation, now)),
        )

    def _classes(self, key: str, adaptation: Adaptation, now: float) -> Iterable[ClassStatus]:
        workload = next((each for each in adaptation.controller.task.workloads if each.graph.pipeline == key), None)
        if workload is None:
            return
        for (pipeline, name), figures in sorted(adaptation.controller.telemetry.classes.items()):
            if pipeline == key:
                arrived, ended, in_time = figures.minute.sums(now)
                yield ClassStatus(
                    name=name,
                    arrivals_rps=arrived / max(min(now - self._begun_at, 60.0), 1.0),
                    attainment_minute=in_time / ended if ended else None,
                    min_accuracy=workload.slo.class_accuracy.get(name, workload.slo.min_accuracy),
                    accuracy=figures.accuracy(now, workload.variants.reference_accuracy or 0.0),
                )

    def _devices(self, now: float) -> list[DeviceStatus]:
        scheduler, adaptation = self._repository.router.scheduler, self._adaptation
        held = set[Unit]() if adaptation is None else adaptation.controller.devices.health.held_out(now)
        on: dict[Unit, list[tuple[str, str, str]]] = {unit: [] for unit in held}
        types, modes, running, starting = {}, {}, set[Unit](), set[Unit]()
        slots: dict[Unit, set[int]] = {}
        for record in scheduler.instances.values():
            unit, configuration = record.unit, record.configuration
            types[unit], modes[unit] = configuration.device_type, configuration.power_mode
            on.setdefault(unit, []).append((configuration.stage, configuration.variant, record.state.value))
            slots.setdefault(unit, set()).update(record.placement.slots)
            if record.batches:
                running.add(unit)
            if record.state is InstanceState.STARTING:
                starting.add(unit)
        found = []
        for unit, instances in sorted(on.items()):
            state = "active" if unit in running else "starting" if unit in starting else "idle" if instances else "off"
            counts = {each: instances.count(each) for each in instances}
            found.append(
                DeviceStatus(
                    node=unit[0],
                    device=unit[1],
                    type=types.get(unit, ""),
                    mode=modes.get(unit, ""),
                    state="held out" if unit in held else state,
                    busy=self._busy(unit, max(len(slots.get(unit, ())), 1), now),
                    slowness=1.0 if adaptation is None else adaptation.controller.devices.speeds.factors.get(unit, 1.0),
                    instances=tuple(
                        InstanceStatus(stage=stage, variant=variant, state=state, count=count)
                        for (stage, variant, state), count in counts.items()
                    ),
                )
            )
        return found

    def _busy(self, unit: Unit, slots: int, now: float) -> float | None:
        if self._adaptation is None:
            return None
        busy = self._adaptation.controller.telemetry.busy.get(unit)
        seconds = min(max(now - self._begun_at, 1.0), 60.0)
        return 0.0 if busy is None else min(busy.sums(now)[0] / seconds / slots, 1.0)


def _trial(rollout: Rollout) -> TrialStatus:
    own, former, canary = rollout.since(rollout.model), rollout.since(rollout.former), rollout.canary
    return TrialStatus(
        name=rollout.model.name,
        version=rollout.model.version,
        former=rollout.former.version,
        share=canary.trial.share,
        requests=own.asked,
        wanted=canary.trial.requests,
        wrong=own.wrong,
        former_requests=former.asked,
        former_wrong=former.wrong,
        differing=None if canary.trial.agreement is None else canary.differing.wrong,
    )


def _with_loop(status: Status, adaptation: Adaptation) -> Status:
    controller = adaptation.controller
    return replace(
        status,
        changes=controller.changes,
        under_way=controller.under_way,
        longest_stall_ms=1e3 * adaptation.stalls.longest_s,
        longest_own_stall_ms=1e3 * adaptation.stalls.longest_own_s,
    )


def _told(noted: Noted, now: float) -> Decision:
    fields = {name: getattr(noted, name) for name in ("what", "changed", "reason", "saves_w", "cost_j")}
    return Decision(ago_s=now - noted.at, **fields)


def _summed(figures: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(map(sum, zip((0.0, 0.0, 0.0), *figures, strict=True)))


def _ms(figures: ClassFigures | None, percent: float) -> float | None:
    found = None if figures is None else figures.latency_s.quantile(percent)
    return None if found is None else 1e3 * found

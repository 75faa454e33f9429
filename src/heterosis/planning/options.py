"""The options of each stage: how it could run, and what a request would then take."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from heterosis.planning.curve import Curve
from heterosis.planning.demand import Demand, demand
from heterosis.planning.snapshot import Snapshot
from heterosis.terms import Configuration, Device, Energy, OperatingPoint, Option, Variant

ALL_COUNTS_UP_TO, ALL_STARTS_UP_TO = 4, 8
"""Beyond so many instances, and on devices of more slots, their numbers and places are tried in coarser steps."""

TAIL_PERCENT = 95.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One option of a stage, worked out: so many instances of a configuration on a device, each with a largest batch.

    Instances of one stage take slots of their own; those of different stages may share slots and take turns.
    """

    stage: str
    variant: Variant
    configuration: Configuration
    node: str
    device: Device
    batch: int
    instances: int
    latency_ms: float
    """All calls of one request that are ready together, at the SLO's percentile of both their number and their time."""
    tail_ms: float
    """The same at the 95th percentile."""
    beside_ms: float
    """What those calls delay, on average, the stages that run beside this one: their slot time over all slots."""
    work_ms: float
    """Mean slot time of all calls of a request."""
    cpu_ms: float
    """Mean CPU time of all calls of a request."""
    energy: Energy
    """Mean dynamic energy of all calls of a request."""
    memory_bytes: int
    """Of all instances."""
    relative_accuracy: float
    """What the pipeline's accuracy is multiplied by, against the reference variant."""

    @property
    def slots(self) -> int:
        """Slots that all instances take."""
        return self.instances * self.configuration.threads

    @property
    def load_ms(self) -> float:
        """Time that each of the slots gives to a request."""
        return self.work_ms / self.slots

    @property
    def mode(self) -> tuple[str, str, str]:
        """Node, device, and the power mode that the device must be in."""
        return self.node, self.device.name, self.configuration.power_mode

    @property
    def name(self) -> str:
        """For people, unique in the stage on one device."""
        mode = self.configuration.power_mode
        parts = (self.variant.name, counted(self.configuration.threads, "thread"), f"batch {self.batch}")
        return ", ".join((*parts, counted(self.instances, "instance"), *([mode] if mode != "default" else [])))

    @property
    def preference(self) -> tuple[int, int, str, int, str, str, str]:
        """Between options that are otherwise equal, the smaller is taken."""
        return (self.instances, self.configuration.threads, self.variant.name, self.batch, *self.mode)

    @property
    def starts(self) -> range | tuple[int, ...]:
        """First slots of the runs of adjacent slots that it could take."""
        last = self.device.slots - self.slots
        if self.device.slots <= ALL_STARTS_UP_TO:
            return range(last + 1)
        return tuple(sorted({*range(0, last + 1, self.slots), last}))


def counted(number: int, noun: str) -> str:
    """Return a number of things as text."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def enumerate_options(snapshot: Snapshot) -> tuple[tuple[Candidate, ...], tuple[Option, ...]]:
    """Return every option of every stage, in order of preference, and what of the profile cannot be one, with why."""
    points: dict[Configuration, list[OperatingPoint]] = defaultdict(list)
    for point in snapshot.profile.points:
        if point.configuration.stage in snapshot.graph.stages:
            points[point.configuration].append(point)
    demands = {stage: demand(snapshot.graph, stage) for stage in snapshot.graph.stages}
    candidates: list[Candidate] = []
    refused: list[Option] = []
    for configuration, measured in points.items():
        reason = _unusable(snapshot, configuration)
        if reason is None:
            candidates.extend(_options(snapshot, Curve(measured), demands[configuration.stage], configuration))
        else:
            refused.extend(
                Option(
                    stage=configuration.stage,
                    configuration=configuration,
                    batch=point.batch,
                    chosen=False,
                    reason=reason,
                )
                for point in measured
            )
    return tuple(sorted(candidates, key=lambda each: each.preference)), tuple(refused)


def instance_counts(most: int) -> list[int]:
    """Return how many instances to try, up to ``most``."""
    if most <= ALL_COUNTS_UP_TO:
        return list(range(1, most + 1))
    return sorted({*(1 << power for power in range(most.bit_length())), most})


def _options(snapshot: Snapshot, curve: Curve, wanted: Demand, configuration: Configuration) -> Iterator[Candidate]:
    percent = snapshot.slo.percentile
    variant = _variant(snapshot, configuration)
    assert variant is not None  # noqa: S101
    for node, device in _places(snapshot, configuration):
        for instances in instance_counts(device.slots // configuration.threads):
            for batch, point in sorted(curve.points.items()):
                run_ms, cpu_ms, energy = curve.per_request(wanted, batch, instances)
                width = wanted.width(percent)
                widest_ms = curve.run_ms(width, batch, instances)
                yield Candidate(
                    stage=configuration.stage,
                    variant=variant,
                    configuration=configuration,
                    node=node,
                    device=device,
                    batch=batch,
                    instances=instances,
                    latency_ms=curve.stage_ms(width, batch, instances, percent),
                    tail_ms=curve.stage_ms(wanted.width(TAIL_PERCENT), batch, instances, TAIL_PERCENT),
                    beside_ms=widest_ms * configuration.threads / device.slots,
                    work_ms=run_ms * configuration.threads,
                    cpu_ms=cpu_ms,
                    energy=energy,
                    memory_bytes=instances * point.memory_bytes,
                    relative_accuracy=_relative_accuracy(snapshot, variant),
                )


def _variant(snapshot: Snapshot, configuration: Configuration) -> Variant | None:
    of = snapshot.variants.of(configuration.stage)
    return next((variant for variant in of if variant.name == configuration.variant), None)


def _places(snapshot: Snapshot, configuration: Configuration) -> list[tuple[str, Device]]:
    return [
        (node.name, device)
        for node in snapshot.fleet.nodes
        for device in node.devices
        if device.type.name == configuration.device_type
        and any(mode.name == configuration.power_mode for mode in device.type.power_modes)
        and configuration.threads <= device.slots
    ]


def _unusable(snapshot: Snapshot, configuration: Configuration) -> str | None:
    if _variant(snapshot, configuration) is None:
        excluded = (each for each in snapshot.variants.excluded if each.stage == configuration.stage)
        why = next((each.reason for each in excluded if each.name == configuration.variant), "no such variant any more")
        return f"variant left out: {why}"
    if configuration.threads < 1:
        return "measured with the engine's own choice of threads, which takes no slots and so cannot be planned"
    if _places(snapshot, configuration):
        return None
    devices = [device for device in snapshot.fleet.devices if device.type.name == configuration.device_type]
    if not devices:
        return f"no device of type {configuration.device_type} in the fleet"
    if configuration.threads > max(device.slots for device in devices):
        return f"needs {configuration.threads} slots, {devices[0].name} has {devices[0].slots}"
    return f"{devices[0].name} has no power mode {configuration.power_mode}"


def _relative_accuracy(snapshot: Snapshot, variant: Variant) -> float:
    reference = snapshot.variants.reference_accuracy
    return variant.accuracy / reference if variant.accuracy is not None and reference else 1.0

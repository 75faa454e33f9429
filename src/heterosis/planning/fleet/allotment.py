"""What is decided for a fleet: how many devices of each kind, in which power mode, and what runs on them."""

import math
from collections.abc import Collection, Iterator

import msgspec

from heterosis.planning.fleet.options import Group, Option
from heterosis.planning.fleet.task import Task, Workload


class Hosted(msgspec.Struct, frozen=True, kw_only=True):
    """An option on a share of the fleet, and how many of its stage's calls go there."""

    option: Option
    per_s: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that are alike in everything: each of them hosts an instance of every option listed, in turns.

    A published planner that gives each instance a device of its own has shares of one option each.
    """

    group: Group
    count: int
    hosts: tuple[Hosted, ...]

    def busy(self, slots: int) -> float:
        """Share of its slots' time (0..1) that is spent on calls."""
        return sum(host.per_s * host.option.slot_s for host in self.hosts) / (self.count * slots)


class ClassAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage's calls of a class of requests come to on average."""

    stage: str
    request_class: str
    accuracy: float


class Allotment(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of a planner for a whole fleet."""

    planner: str
    shares: tuple[Share, ...]
    reasons: tuple[str, ...] = ()
    class_accuracies: tuple[ClassAccuracy, ...] = ()
    """Of pipelines that have floors by class, `OTHERS` among these."""

    def hosted(self, stage: str | None = None) -> Iterator[Hosted]:
        """Every option in use, or those of one stage."""
        return (
            host
            for share in self.shares
            for host in share.hosts
            if host.per_s > 0 and stage in {None, host.option.stage}
        )

    def budgets_s(self, task: Task) -> dict[str, float]:
        """The longest latency of an option in use, by stage, in seconds."""
        return {stage: max(host.option.latency_s for host in self.hosted(stage)) for stage in task.stages}

    def fits(self, task: Task) -> bool:
        """Whether every device has the memory for all that it hosts."""
        for share in self.shares:
            memory = task.kinds[share.group[0]].memory_bytes
            sizes = {host.option.configuration: host.option.memory_bytes for host in share.hosts}
            if memory is not None and sum(sizes.values()) > memory:
                return False
        return True

    def devices(self) -> dict[Group, int]:
        """Devices that are on, by group."""
        found: dict[Group, int] = {}
        for share in self.shares:
            found[share.group] = found.get(share.group, 0) + share.count
        return found


def power_w(task: Task, allotment: Allotment) -> float | None:
    """Mean power of the fleet, in watts: of what is on, of what sleeps, and of the calls; None where unknown."""
    dynamic = dynamic_w(allotment)
    if dynamic is None:
        return None
    total = rest_power_w(task) + dynamic
    for group, count in allotment.devices().items():
        added = on_power_w(task, group)
        if added is None:
            return None
        total += count * added
    return total


def dynamic_w(allotment: Allotment, stages: Collection[str] | None = None) -> float | None:
    """Mean power that the calls (of these stages) add, in watts; None where the energy of one is unknown."""
    total = 0.0
    for host in allotment.hosted():
        if stages is not None and host.option.stage not in stages:
            continue
        if host.option.energy_j is None:
            return None
        total += host.per_s * host.option.energy_j
    return total


def busy_slots(allotment: Allotment) -> float:
    """Slots that the calls keep busy, on average."""
    return sum(host.per_s * host.option.slot_s for host in allotment.hosted())


def rest_power_w(task: Task) -> float:
    """Power of the fleet with everything off, or asleep where it is on standby."""
    return sum(len(kind.units) * (kind.type.sleep_power_w or 0.0) for kind in task.kinds) if task.standby else 0.0


def on_power_w(task: Task, group: Group) -> float | None:
    """What one more device of a group that is on adds to the power of the fleet, with nothing to do."""
    number, mode = group
    kind = task.kinds[number]
    idle_w = kind.device.idle_power_w(mode)
    return None if idle_w is None else idle_w - (kind.type.sleep_power_w or 0.0 if task.standby else 0.0)


def price_per_hour(task: Task, allotment: Allotment) -> float | None:
    """Price of the devices that are on, per hour; None where one of them has none."""
    total = 0.0
    for (number, _), count in allotment.devices().items():
        price = task.kinds[number].type.price_per_hour
        if price is None:
            return None
        total += count * price
    return total


def accuracy(workload: Workload, allotment: Allotment) -> float | None:
    """Mean end-to-end accuracy of a pipeline's answers, if each stage draws its variant independently.

    None where no variant's is known.
    """
    if all(variant.accuracy is None for variant in workload.variants.variants) and workload.judge is None:
        return None
    shares = {stage: _shares(allotment, stage) for stage in workload.graph.stages}
    usable = {stage: tuple(of) for stage, of in shares.items()}
    listed = workload.combinations(usable)
    if listed is None:
        means = [
            sum(part * workload.relative_accuracy(workload.variant(stage, name)) for name, part in of.items())
            for stage, of in shares.items()
        ]
        return (workload.variants.reference_accuracy or 1.0) * math.prod(means)
    return sum(math.prod(shares[stage][name] for stage, name in each) * workload.accuracy(each) for each in listed)


def _shares(allotment: Allotment, stage: str) -> dict[str, float]:
    """Share of a stage's calls that each of its variants serves."""
    found: dict[str, float] = {}
    for host in allotment.hosted(stage):
        found[host.option.variant.name] = found.get(host.option.variant.name, 0.0) + host.per_s
    total = sum(found.values())
    return {name: per_s / total for name, per_s in found.items()}


def latency_s(workload: Workload, allotment: Allotment) -> float:
    """Latency at the SLO's percentile as the options' own figures add up along the longest path."""
    slowest = {
        stage: max((host.option.latency_s for host in allotment.hosted(stage)), default=math.inf)
        for stage in workload.graph.stages
    }
    return max(sum(slowest[stage] for stage in path) for path in workload.graph.paths())

"""What published planners count: servers, each a whole device that runs one model in batches of one size.

Their figures know no chance: a server carries what it would if every batch were full and it were never idle.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from heterosis.planning.fleet.allotment import Allotment, Hosted, Share
from heterosis.planning.fleet.options import Option, enumerate_options
from heterosis.planning.fleet.task import Combination, Task, Workload
from heterosis.terms.errors import UsageError

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A device with one model, and what it carries."""

    option: Option
    batch_s: float
    """Mean time of a full batch."""
    link_s: float
    """To the device and back."""
    per_s: float
    """Calls per second of the whole device."""
    price: float
    """Of the device per hour; 1 where the fleet does not know the price of every kind."""

    @property
    def abreast(self) -> int:
        """Batches that the device runs side by side."""
        return round(self.per_s * self.batch_s / self.option.batch)

    @property
    def latency_s(self) -> float:
        """Of a full batch that runs at once."""
        return self.batch_s + self.link_s

    def needed(self, per_s: float) -> int:
        """How many servers carry so many calls per second."""
        return math.ceil(per_s / self.per_s - ROUNDING)


def servers(task: Task) -> dict[str, list[Server]]:
    """Return all that a device of the fleet could be, by stage."""
    found: dict[str, list[Server]] = {stage: [] for stage in task.stages}
    prices = [kind.type.price_per_hour for kind in task.kinds]
    joules = {
        (point.configuration, point.batch): point.energy_per_item.joules
        for workload in task.workloads
        for point in workload.profile.points
    }
    alike: dict[object, Option] = {}
    for option in enumerate_options(task):  # many differ in how busy they are, and in what they wait for, alone
        if (option.configuration, option.batch) in joules:  # sizes between those measured are an idea of ours
            alike.setdefault((option.configuration, option.group, option.batch), option)
    for option in alike.values():
        kind, graph = task.kinds[option.group[0]], task.stages[option.stage].graph
        threads = option.configuration.threads
        full = replace(
            option,
            utilisation=1.0,
            slot_s=threads * option.batch_s / option.batch,
            energy_j=joules[option.configuration, option.batch],
        )
        found[option.stage].append(
            Server(
                option=full,
                batch_s=option.batch_s,
                link_s=kind.link_s(option.batch * graph.input_bytes.get(option.stage, 0.0)),
                per_s=kind.slots // threads * option.batch / option.batch_s,
                price=1.0 if None in prices else prices[option.group[0]] or 0.0,
            )
        )
    return found


def best_variants(workload: Workload) -> Combination:
    """Return the most accurate variant of every stage; of equals the first, which is the reference."""
    return tuple(
        (stage, max(workload.variants.of(stage), key=lambda variant: variant.accuracy or 0.0).name)
        for stage in workload.graph.stages
    )


def combinations(workload: Workload, found: Mapping[str, Sequence[Server]]) -> list[Combination]:
    """List every combination of variants that some server runs. Raise UsageError where they are too many."""
    usable = {
        stage: tuple(dict.fromkeys(server.option.variant.name for server in found[stage]))
        for stage in workload.graph.stages
    }
    listed = workload.combinations(usable)
    if listed is None:
        raise UsageError(f"{workload.graph.pipeline!r} has too many combinations of variants to list; keep fewer")
    return listed


def of_best_variants(task: Task) -> tuple[dict[str, list[Server]], dict[str, float]]:
    """Return the servers of the most accurate variants, and the calls per second that are then asked of each stage."""
    best = {stage: name for workload in task.workloads for stage, name in best_variants(workload)}
    found = {
        stage: [server for server in of if server.option.variant.name == best[stage]]
        for stage, of in servers(task).items()
    }
    calls = {
        stage: workload.rate_rps * calls
        for workload in task.workloads
        for stage, calls in workload.calls(best_variants(workload)).items()
    }
    return found, calls


def fits(task: Task, seconds: Mapping[str, float], part: float = 1.0) -> bool:
    """Whether times of the stages add up to no more than a part of the SLO along every path."""
    return all(
        sum(seconds[stage] for stage in path) <= part * workload.slo.latency_ms / 1e3 * (1 + ROUNDING)
        for workload in task.workloads
        for path in workload.graph.paths()
    )


def available(task: Task, shares: Iterable[Share]) -> bool:
    """Whether the fleet has the devices of these shares."""
    left = [len(kind.units) for kind in task.kinds]
    for share in shares:
        left[share.group[0]] -= share.count
    return min(left) >= 0


def share(server: Server, count: int, per_s: float, budget_s: float) -> Share:
    """Make devices that run one thing, with what its stage may take from ready until done."""
    return Share(group=server.option.group, count=count, hosts=(host(server, per_s, budget_s),))


def host(server: Server, per_s: float, budget_s: float) -> Hosted:
    """Make an option in use."""
    wait_s = max(budget_s - server.latency_s, 0.0)
    return Hosted(option=replace(server.option, run_s=server.latency_s, wait_s=wait_s, fill_s=0.0), per_s=per_s)


def allotment(planner: str, task: Task, shares: Iterable[Share], *reasons: str) -> Allotment | None:
    """Put an answer together; None where the fleet lacks the devices."""
    found = tuple(each for each in shares if each.count)
    return Allotment(planner=planner, shares=found, reasons=reasons) if available(task, found) else None

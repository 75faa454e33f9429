"""A plan at other rates: as many devices of each of its shares as the calls need, and which share serves how many.

InferLine gives each model ``k = ceil(r s / (mu rho))`` replicas (Crankshaw et al., SoCC 2020, section 5). A share of
several stages needs as many devices as satisfy the planner's own

    sum of x slot_s / utilisation <= slots k

and no fewer than its options' waits count on (``servers``). More devices than planned share their waits and may be
busier: what they have in hand grows with the root of their number (`pooled`). Where several shares can serve the same
calls, those that draw least for what they bear get them, as far as the fleet has devices of their kind: a program of
one integer for each share, solved in milliseconds.
"""

import math
from collections import defaultdict
from collections.abc import Mapping

import msgspec
import numpy as np

from heterosis.planning.fleet.allotment import Allotment, Hosted, Share, on_power_w
from heterosis.planning.fleet.options import ROUNDING, Group, Option
from heterosis.planning.fleet.task import Task
from heterosis.planning.solver import Program, Row
from heterosis.planning.wait import HIGHEST

GAP = 1e-4
NOTHING = 1e-9
"""Calls per second that are none but for rounding."""
TOO_MUCH = 1e3
"""What a call that nobody serves costs, as a multiple of the dearest way to serve one."""


def at_rates(task: Task, rates: Mapping[str, float]) -> Task:
    """Return the task at other rates, by pipeline."""
    workloads = tuple(
        msgspec.structs.replace(each, rate_rps=rates.get(each.graph.pipeline, each.rate_rps)) for each in task.workloads
    )
    return msgspec.structs.replace(task, workloads=workloads)


def retuned(task: Task, planned: Allotment, factors: Mapping[str, float], on: Allotment | None = None) -> Allotment:
    """Return the planned shares with as many devices as serve each pipeline's calls, times its factor, at least power.

    Every variant keeps its share of its stage's calls, so accuracy and fan-out stay what they were. ``on`` is what runs
    now: more devices than that must be started, which counts over the task's horizon. Where the fleet has too few, the
    reasons say what goes unserved.
    """
    return _Program(task, planned, factors, on or planned).solve()


class _Program:
    """Columns: devices of each share, and those of them to start; calls of each host; calls that nobody serves."""

    def __init__(self, task: Task, planned: Allotment, factors: Mapping[str, float], on: Allotment) -> None:
        self.task, self.planned = task, planned
        shares = planned.shares
        self.hosts = [(number, host) for number, share in enumerate(shares) for host in share.hosts]
        wanted: dict[tuple[str, str], float] = {}
        for _, host in self.hosts:
            key = host.option.stage, host.option.variant.name
            wanted[key] = wanted.get(key, 0.0) + host.per_s * factors[task.stages[key[0]].graph.pipeline]
        self.started = range(len(shares), 2 * len(shares))
        self.flow = range(self.started.stop, self.started.stop + len(self.hosts))
        self.unserved = dict(zip(wanted, range(self.flow.stop, self.flow.stop + len(wanted)), strict=True))
        columns = self.flow.stop + len(wanted)
        self.program = Program(np.zeros(columns), np.full(columns, math.inf), len(shares))
        self._keep_inventory(on.devices())
        self._serve(wanted)
        self._keep_waits(factors)

    def _keep_inventory(self, on: Mapping[Group, int]) -> None:
        of_group, of_kind = defaultdict[Group, list[int]](list), defaultdict[int, list[int]](list)
        for number, share in enumerate(self.planned.shares):
            of_group[share.group].append(number)
            of_kind[share.group[0]].append(number)
        for group, numbers in of_group.items():
            started = {self.started[number]: -1.0 for number in numbers}
            self.program.add({**dict.fromkeys(numbers, 1.0), **started}, upper=on.get(group, 0))
        for kind, numbers in of_kind.items():
            self.program.add(dict.fromkeys(numbers, 1.0), upper=len(self.task.kinds[kind].units))

    def _serve(self, wanted: Mapping[tuple[str, str], float]) -> None:
        served = {key: {column: 1.0} for key, column in self.unserved.items()}
        for column, (_, host) in zip(self.flow, self.hosts, strict=True):
            served[host.option.stage, host.option.variant.name][column] = 1.0
        for key, row in served.items():
            self.program.add(row, wanted[key], wanted[key])

    def _keep_waits(self, factors: Mapping[str, float]) -> None:
        """No device is busier than planned, and calls are spread over as many instances as their waits count on."""
        rates = {stage: sum(host.per_s for host in self.planned.hosted(stage)) for stage in self.task.stages}
        for number, share in enumerate(self.planned.shares):
            slots = self.task.kinds[share.group[0]].slots
            full = sum(host.per_s * host.option.device_s for host in share.hosts) / (share.count * slots)
            busy: dict[int, float] = {}
            spread, before = defaultdict[str, dict[int, float]](dict), defaultdict[str, dict[int, float]](dict)
            for column, (of_share, host) in zip(self.flow, self.hosts, strict=True):
                if of_share == number:
                    option = host.option
                    rate, factor = rates[option.stage], factors[self.task.stages[option.stage].graph.pipeline]
                    abreast = slots // option.configuration.threads
                    busy[column] = option.device_s / slots * pooled(option.utilisation, share.count, factor * full)
                    spread[option.stage][column] = _servers(option, rate, factor) / abreast / (factor * rate or 1.0)
                    before[option.stage][column] = option.servers / abreast / rate
            self._at_most(number, busy, busy)
            for stage, devices in spread.items():
                self._at_most(number, devices, before[stage])

    def _at_most(self, number: int, devices: Mapping[int, float], planned: Mapping[int, float]) -> None:
        """Devices that each call per second needs add up to those of a share, or to as many more as in the plan."""
        share = self.planned.shares[number]
        flows = {column: self.hosts[column - self.flow.start][1].per_s for column in planned}
        needed = sum(flows[column] * each for column, each in planned.items())
        ease = min(1.0, share.count / needed) if needed else 1.0
        self.program.add({number: -1.0, **{column: ease * each for column, each in devices.items()}}, upper=0)

    def _cost(self) -> Row:
        """Watts; just devices where a figure is missing."""
        cost = self.program.row()
        powers = [on_power_w(self.task, share.group) for share in self.planned.shares]
        known = None not in powers and all(host.option.energy_j is not None for _, host in self.hosts)
        for number, share in enumerate(self.planned.shares):
            cost[number] = powers[number] if known else 1.0
            start_j = sum(host.option.load_j for host in share.hosts) if known else 0.0
            kind = self.task.kinds[share.group[0]]
            start_j += (kind.device.idle_power_w(share.group[1]) or 0.0) * kind.type.wake_ms / 1e3
            cost[self.started[number]] = start_j / self.task.horizon_s
        dearest = 0.0
        for column, (number, host) in zip(self.flow, self.hosts, strict=True):
            cost[column] = (host.option.energy_j or 0.0) if known else 0.0
            dearest = max(dearest, cost[column] + cost[number] * host.option.device_s)
        for column in self.unserved.values():
            cost[column] = TOO_MUCH * dearest
        return cost

    def solve(self) -> Allotment:
        values = self.program.minimise(self._cost(), GAP)
        assert values is not None  # noqa: S101 - to serve nobody is always possible
        found = []
        for number, share in enumerate(self.planned.shares):
            hosts = tuple(
                Hosted(option=host.option, per_s=float(values[column]) if values[column] > NOTHING else 0.0)
                for column, (of_share, host) in zip(self.flow, self.hosts, strict=True)
                if of_share == number
            )
            count = round(values[number])
            if count and any(host.per_s for host in hosts):
                found.append(Share(group=share.group, count=count, hosts=hosts))
        short: dict[str, float] = {}
        for (stage, _), column in self.unserved.items():
            short[stage] = short.get(stage, 0.0) + float(values[column])
        reasons = tuple(
            f"the fleet has no more devices of the plan's kinds: {per_s:.4g}/s calls of {stage} are beyond it"
            for stage, per_s in short.items()
            if per_s > NOTHING
        )
        return msgspec.structs.replace(self.planned, shares=tuple(found), reasons=reasons)


def pooled(utilisation: float, count: int, factor: float) -> float:
    """Return how many devices a call needs at a higher rate, as a share of what it needs while these are enough.

    So many devices, this busy at most, become c at ``factor`` times what they bear. Waits stay as short when what they
    have in hand grows with the root of c (Halfin and Whitt, "Heavy-traffic limits for queues with many exponential
    servers", 1981): c - (1 - utilisation) sqrt(count c) = factor utilisation count; no busier than `HIGHEST`.
    """
    if factor <= 1.0 or utilisation >= HIGHEST:
        return 1.0
    spare = (1 - utilisation) * math.sqrt(count)
    load = factor * utilisation * count
    devices = ((spare + math.sqrt(spare**2 + 4 * load)) / 2) ** 2
    return min(1.0, max(devices / (factor * count), utilisation / HIGHEST))  # above 1 only by rounding


def _servers(option: Option, rate: float, factor: float) -> int:
    """Instances that an option's times count on at another rate: fewer at a lower one, where the load asked for them.

    Where they are more than that, calls that are ready together are spread over them, at any rate.
    """
    busy = rate * option.slot_s / option.configuration.threads / option.utilisation
    if option.servers > math.ceil(busy - ROUNDING):
        return option.servers
    return min(option.servers, max(1, math.ceil(factor * busy - ROUNDING)))

"""The setting: two pipelines of published models on a rack of edge devices, through a day with bursts.

The day is played 120 times as fast as it is: an hour takes half a minute. Loads, wakes and mode switches take as long
as they do, so they weigh 120 times as much as they would; arrivals within the day keep their rates.
"""

import heapq
from collections.abc import Iterator
from functools import cache

import msgspec

from heterosis.arrivals import bursts, diurnal
from heterosis.catalogue import open_fleet, open_pipeline
from heterosis.catalogue.pipelines import PublishedPipeline
from heterosis.planning.fleet import Workload
from heterosis.simulation import Arrival, RequestClass, workload
from heterosis.terms import DeviceType, Fleet, Profile

FLEET = "edge-rack"
PIPELINES = ("traffic", "documents")
HOUR_S = 30.0
DAY_S = 24 * HOUR_S
MEAN_RPS = {"traffic": 24.0, "documents": 18.0}
"""Without the bursts."""
PEAK_RATIO = 1.7
"""The busiest moment of a day over its mean; the quietest is 0.3 times the mean."""
PEAK_HOUR = {"traffic": 17, "documents": 11}
BURST = 0.7
"""What a burst adds, as a multiple of the mean rate."""
BETWEEN_BURSTS_S, BURST_S = 60.0, 8.0
LIFETIME_H = 3 * 365 * 24
"""Of a device that was bought: its price per hour is that over three years."""
PRICES = {"zcu104": 1678.0, "u280": 7717.0}
"""In dollars, as listed by distributors in 2023, of the types that the catalogue has none of."""


@cache
def fleet() -> Fleet:
    """The rack, every device with a price per hour, so that it can be planned by price, too."""

    def priced(kind: DeviceType) -> DeviceType:
        price = kind.purchase_price or PRICES.get(kind.name, 0.0)
        return msgspec.structs.replace(kind, price_per_hour=kind.price_per_hour or price / LIFETIME_H)

    rack = open_fleet(FLEET)
    nodes = tuple(
        msgspec.structs.replace(
            node,
            devices=tuple(msgspec.structs.replace(device, type=priced(device.type)) for device in node.devices),
        )
        for node in rack.nodes
    )
    return Fleet(nodes=nodes)


@cache
def pipeline(name: str) -> PublishedPipeline:
    """A pipeline of the study."""
    return open_pipeline(name)


@cache
def profile(name: str) -> Profile:
    """What the catalogue knows of a pipeline on the rack."""
    return pipeline(name).profile(fleet())


def workloads(rates: dict[str, float]) -> tuple[Workload, ...]:
    """The pipelines at these rates."""
    return tuple(
        Workload(
            graph=pipeline(name).graph,
            slo=pipeline(name).slo,
            rate_rps=rates[name],
            variants=pipeline(name).variants,
            profile=profile(name),
        )
        for name in PIPELINES
    )


def moments(name: str, load: float, seed: int) -> list[float]:
    """When requests of a pipeline arrive through a day, in seconds; ``load`` multiplies all rates."""
    mean = load * MEAN_RPS[name]
    number = PIPELINES.index(name)
    shape = diurnal(mean, DAY_S, 2 * seed + 1000 * number, peak_ratio=PEAK_RATIO, period_s=DAY_S)
    # A diurnal day is busiest at its middle; turn it until that is at the peak hour.
    later_s = (PEAK_HOUR[name] - 12) * HOUR_S
    turned = sorted((at + later_s) % DAY_S for at in shape)
    extra = bursts(
        0.0,
        BURST * mean,
        DAY_S,
        2 * seed + 1000 * number + 1,
        base_s=BETWEEN_BURSTS_S,
        burst_s=BURST_S,
    )
    return list(heapq.merge(turned, extra))


def arrivals(day: dict[str, list[float]], seed: int) -> Iterator[Arrival]:
    """The requests of all pipelines in order of time."""
    streams = []
    for number, (name, times) in enumerate(day.items()):
        kind = RequestClass(shapes=pipeline(name).graph.requests, name=name, latency_ms=pipeline(name).slo.latency_ms)
        streams.append(workload(times, [kind], seed=seed + 1000 * number))
    return heapq.merge(*streams, key=lambda arrival: arrival.at)

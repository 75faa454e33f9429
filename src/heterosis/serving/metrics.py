"""What a server tells Prometheus: requests by outcome, latency, queues, instances, and joules with their quality."""

import asyncio
import itertools
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from heterosis.serving.repository import Repository
from heterosis.terms import Energy

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


class Meter(Protocol):
    """What is asked of an energy meter here (`heterosis.profiling.meters`)."""

    @property
    def period_s(self) -> float:
        """How often it has to be read, whether its figures are asked for or not."""
        ...

    def read(self) -> Mapping[str, Energy]:
        """Joules so far, by domain."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time so far, of the server and all its workers."""
        ...


class Metrics(Collector):
    """Measures requests as they pass, and reads the rest off the repository and the meter when it is asked."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, repository: Repository, meter: Meter) -> None:
        """Watch these models and this meter."""
        self._repository = repository
        self._meter = meter
        self.energy: Mapping[str, Energy] = {}
        self._cpu_s = 0.0
        self._reading = asyncio.Lock()
        self._registry = CollectorRegistry()
        self._latencies = [0] * (len(BUCKETS_S) + 1)
        self._latency_s = 0.0
        self._registry.register(self)

    def answered(self, took_s: float) -> None:
        """Count a request that was answered, refusals included."""
        self._latencies[bisect_left(BUCKETS_S, took_s)] += 1
        self._latency_s += took_s

    @property
    def period_s(self) -> float:
        """How often the meter has to be read."""
        return self._meter.period_s

    async def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        await self.read_meter()
        return generate_latest(self._registry)

    async def read_meter(self) -> None:
        """Read the meter, on a thread: it may look at every process, or ask a driver that takes its time."""
        async with self._reading:
            self.energy, self._cpu_s = await asyncio.to_thread(lambda: (self._meter.read(), self._meter.cpu_seconds()))

    def collect(self) -> Iterator[Metric]:
        """Read repository and router, and tell what the meter said last."""
        scheduler = self._repository.router.scheduler
        counts_up_to = itertools.accumulate(self._latencies)
        yield HistogramMetricFamily(
            "heterosis_request_seconds",
            "Time from the last byte of a request to the answer, refusals included",
            buckets=[(str(bound), count) for bound, count in zip((*BUCKETS_S, "+Inf"), counts_up_to, strict=True)],
            sum_value=self._latency_s,
        )
        requests = CounterMetricFamily(
            "heterosis_requests", "Requests by how they ended", labels=["model", "version", "outcome"]
        )
        for model in self._repository.models():
            for outcome, count in model.statistics.outcomes.items():
                requests.add_metric([model.name, model.version, outcome], count)
        yield requests
        queued = GaugeMetricFamily("heterosis_waiting_calls", "Calls that wait for an instance", labels=["stage"])
        for stage, queue in scheduler.queues.items():
            queued.add_metric([stage], len(queue))
        yield queued
        instances = GaugeMetricFamily("heterosis_instances", "Instances", labels=["stage", "variant", "state"])
        counts: dict[tuple[str, str, str], int] = {}
        for instance in scheduler.instances.values():
            key = (instance.configuration.stage, instance.configuration.variant, instance.state.value)
            counts[key] = counts.get(key, 0) + 1
        for labels, count in counts.items():
            instances.add_metric(list(labels), count)
        yield instances
        yield CounterMetricFamily("heterosis_cpu_seconds", "CPU time of the server and its workers", value=self._cpu_s)
        energy = CounterMetricFamily(
            "heterosis_energy_joules", "Energy by domain; absent where unknown", labels=["domain", "quality"]
        )
        for domain, amount in self.energy.items():
            if amount.joules is not None:
                energy.add_metric([domain, amount.quality.value], amount.joules)
        yield energy

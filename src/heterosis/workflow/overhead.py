"""What the server itself costs a request: measured on the server, with the pipeline's samples.

A plan is served as `heterosis serve` does it, and each sample is sent in turn, one request at a time. The CPU time of
the server's process, which gateway and router share, is theirs alone, since models run in other processes. What a
request takes beyond the time in which one of its batches ran is theirs, too: reading and decoding before, hops and
copies between, encoding and writing after. How long the batches ran, against what was profiled, is seen as well.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil

from heterosis.bench.load import warm_up
from heterosis.bench.shots import Shot, make_shots
from heterosis.client import Client
from heterosis.pipeline import Pipeline
from heterosis.profiling.files import write_atomically
from heterosis.scheduling import BatchDone, Record, RequestArrived, RequestEnded, RunBatch
from heterosis.scheduling.estimates import Estimates
from heterosis.serving.journal import read_journal
from heterosis.terms import UNKNOWN, Device, Energy, Overhead, Plan, Quality
from heterosis.terms.joining import bare_name, qualified
from heterosis.variants.digests import digest, source_digest, versions
from heterosis.workflow.subserver import subserver

FORMAT = "overhead 2"
"""Changes whenever the file of an overhead does, or what it means."""
MOST_REQUESTS = 200
LEAST_REQUESTS = 20
PATIENCE_MS = 60_000.0
"""A machine that is busy is no reason to give a request up."""


def known_overhead(pipeline: Pipeline, store: Path) -> Overhead | None:
    """Return what was measured of a pipeline as it is now, if anything was."""
    try:
        return msgspec.json.decode(_path(pipeline, store).read_bytes(), type=Overhead)
    except (OSError, msgspec.MsgspecError):
        return None


def measure(pipeline: Pipeline, target: str, device: Device, store: Path, duration_s: float, plan: Plan) -> Overhead:
    """Serve a plan on a device of this machine, send samples one after the other for about so long; store the result.

    Raise UnavailableError where the plan cannot be served.
    """
    with tempfile.TemporaryDirectory(prefix="heterosis-") as folder:
        file, journal = Path(folder) / "plan.json", Path(folder) / "journal"
        file.write_bytes(msgspec.json.encode(at_once(plan)))
        options = ["--plan", str(file), "--store", str(store), "--journal", str(journal)]
        with subserver(target, options) as server:
            latencies_ms, cpu_s = asyncio.run(_ask(server.url, server.pid, pipeline, duration_s))
        records = list(read_journal(journal))
        found = msgspec.structs.replace(
            overhead(device, latencies_ms, cpu_s, records),
            stretch=stretch(plan, records, len(latencies_ms), len(pipeline.load_samples())),
        )
    write_atomically(_path(pipeline, store), [msgspec.json.encode(found)])
    return found


def at_once(plan: Plan) -> Plan:
    """Return a plan that keeps no batch open: to wait for more calls is the plan's doing, not the server's."""
    stages = tuple(msgspec.structs.replace(stage, fill_ms=0.0) for stage in plan.stages)
    return msgspec.structs.replace(plan, stages=stages)


def _path(pipeline: Pipeline, store: Path) -> Path:
    key = digest(FORMAT, versions("heterosis", "numpy"), source_digest(pipeline))[:16]
    return store / "overheads" / f"{pipeline.name}-{key}.json"


def overhead(device: Device, latencies_ms: Sequence[float], cpu_s: float, records: Iterable[Record]) -> Overhead:
    """Make it of the client's latencies, one request after the other, and the journal, which these are the last of."""
    busy_ms = _busy_ms(records)[-len(latencies_ms) :]
    wall_ms = np.array(latencies_ms) - np.array(busy_ms)
    count, power_w = len(latencies_ms), device.dynamic_power_w(device.type.power_modes[0].name)
    return Overhead(
        wall_ms=max(float(np.median(wall_ms)), 0.0),
        cpu_ms=1e3 * cpu_s / count,
        cores=device.slots,
        energy=UNKNOWN if power_w is None else Energy(power_w * cpu_s / count, Quality.MODELLED),
        requests=count,
    )


def stretch(plan: Plan, records: Iterable[Record], requests: int, samples: int) -> dict[str, tuple[float, ...]]:
    """Return what `Overhead.stretch` is by a journal that ends with so many requests, samples in turn, one at a time.

    Stages that a sample does not call, and samples that were not sent, have the mean.
    """
    hosted = qualified(plan, plan.pipeline)
    estimates = Estimates(hosted.points)
    configurations = {each.instance: each.configuration for each in hosted.placements}
    runs: dict[int, tuple[str, int]] = {}
    of_requests: list[dict[str, tuple[float, float]]] = []
    for record in records:
        if isinstance(record.event, RequestArrived):
            of_requests.append({})
        elif isinstance(record.event, BatchDone) and record.event.batch in runs and of_requests:
            instance, items = runs.pop(record.event.batch)
            configuration = configurations[instance]
            ran_ms, profiled_ms = of_requests[-1].get(configuration.stage, (0.0, 0.0))
            profiled_ms += 1e3 * estimates.mean(configuration, items)
            of_requests[-1][configuration.stage] = ran_ms + record.event.run_ms, profiled_ms
        runs.update({each.batch: (each.instance, len(each.calls)) for each in record.effects if type(each) is RunBatch})
    times: dict[str, list[tuple[float, float]]] = defaultdict(lambda: [(0.0, 0.0)] * samples)
    for number, of_request in enumerate(of_requests[-requests:]):
        for stage, (ran_ms, profiled_ms) in of_request.items():
            before = times[bare_name(stage)][number % samples]
            times[bare_name(stage)][number % samples] = before[0] + ran_ms, before[1] + profiled_ms
    found = {}
    for stage, of_samples in times.items():
        ran_ms, profiled_ms = np.sum(of_samples, axis=0).tolist()
        found[stage] = tuple(ran / expected if expected else ran_ms / profiled_ms for ran, expected in of_samples)
    return found


def _busy_ms(records: Iterable[Record]) -> list[float]:
    """For each request, of which there was one at a time, how long at least one of its batches ran."""
    found: list[float] = []
    ran: list[tuple[float, float]] = []
    for record in records:
        match record.event:
            case RequestArrived():
                ran = []
            case BatchDone(run_ms=run_ms):
                ran.append((record.at - run_ms / 1e3, record.at))
            case RequestEnded():
                found.append(1e3 * _covered_s(ran))
    return found


def _covered_s(intervals: Iterable[tuple[float, float]]) -> float:
    covered, reached = 0.0, 0.0
    for begin, end in sorted(intervals):
        covered += max(end - max(begin, reached), 0.0)
        reached = max(reached, end)
    return covered


async def _ask(url: str, pid: int, pipeline: Pipeline, duration_s: float) -> tuple[list[float], float]:
    """Latencies in milliseconds, and CPU seconds of the process meanwhile."""
    shots, process = make_shots(pipeline), psutil.Process(pid)
    async with Client(url) as client:
        await warm_up(client, pipeline.name, shots, timeout_ms=PATIENCE_MS)
        begin, spent = time.perf_counter(), _cpu_s(process)
        latencies: list[float] = []
        while len(latencies) < MOST_REQUESTS and (
            len(latencies) < LEAST_REQUESTS or time.perf_counter() - begin < duration_s
        ):
            latencies.append(await _latency_ms(client, pipeline, shots[len(latencies) % len(shots)]))
        return latencies, _cpu_s(process) - spent


async def _latency_ms(client: Client, pipeline: Pipeline, shot: Shot) -> float:
    begin = time.perf_counter()
    await client.send(pipeline.name, shot.body, shot.header_length, timeout_ms=PATIENCE_MS)
    return (time.perf_counter() - begin) * 1e3


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

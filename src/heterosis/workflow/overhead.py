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
from typing import NamedTuple

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
from heterosis.terms import UNKNOWN, Configuration, Device, Energy, Overhead, Plan, Quality
from heterosis.terms.joining import bare_name, qualified
from heterosis.variants.digests import digest, source_digest, versions
from heterosis.workflow.subserver import subserver

FORMAT = "overhead 4"
"""Changes whenever the file of an overhead does, or what it means."""
MOST_REQUESTS = 200
LEAST_REQUESTS = 20
PATIENCE_MS = 60_000.0
"""A machine that is busy is no reason to give a request up."""


def known_overhead(pipeline: Pipeline, store: Path, plan: Plan) -> Overhead | None:
    """Return what was measured of a pipeline as it is now, served as this plan does it, if anything was."""
    try:
        return msgspec.json.decode(_path(pipeline, store, plan).read_bytes(), type=Overhead)
    except (OSError, msgspec.MsgspecError):
        return None


def measure(pipeline: Pipeline, target: str, device: Device, store: Path, duration_s: float, plan: Plan) -> Overhead:
    """Serve a plan on a device of this machine, send samples one after the other for about so long; store the result.

    The points of the plan are to be those that were profiled. Raise UnavailableError where the plan cannot be served.
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
    write_atomically(_path(pipeline, store, plan), [msgspec.json.encode(found)])
    return found


def at_once(plan: Plan) -> Plan:
    """Return a plan that keeps no batch open: to wait for more calls is the plan's doing, not the server's."""
    stages = tuple(msgspec.structs.replace(stage, fill_ms=0.0) for stage in plan.stages)
    return msgspec.structs.replace(plan, stages=stages)


def runs(plan: Plan) -> list[tuple[Configuration, int]]:
    """Return what a plan runs, and in batches of how many at most: it decides how long calls take when served."""
    found = {(each.configuration, each.max_batch) for each in plan.placements}
    return sorted(found, key=msgspec.json.encode)


def _path(pipeline: Pipeline, store: Path, plan: Plan) -> Path:
    """Where an overhead is kept: its stretch holds for what is run, and for the very times that it was held against."""
    run = runs(plan)
    used = {configuration for configuration, _ in run}
    profiled = sorted((each.batch, each.latency.mean_ms) for each in plan.points if each.configuration in used)
    served = msgspec.json.encode((run, profiled)).decode()
    key = digest(FORMAT, versions("heterosis", "numpy"), source_digest(pipeline), served)[:16]
    return store / "overheads" / f"{pipeline.name}-{key}.json"


def overhead(device: Device, latencies_ms: Sequence[float], cpu_s: float, records: Iterable[Record]) -> Overhead:
    """Make it of the client's latencies, one request after the other, and the journal, which these are the last of."""
    flights = _flights(records)[-len(latencies_ms) :]
    ran_ms = np.array([_covered_ms((each.begin, each.done) for each in of) for of in flights])
    held_ms = np.array([_covered_ms((each.sent, each.done) for each in of) for of in flights])
    hops_s = [each.begin - each.sent for of in flights for each in of if each.alone]
    wall_ms = max(float(np.median(latencies_ms - ran_ms)), 0.0)
    count, power_w = len(latencies_ms), device.dynamic_power_w(device.type.power_modes[0].name)
    return Overhead(
        wall_ms=wall_ms,
        away_ms=min(float(np.median(held_ms - ran_ms)), wall_ms),
        hop_ms=1e3 * float(np.median(hops_s or [0.0])),
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


class _Flight(NamedTuple):
    """A batch: when it was sent, when it began if it came back at once, and when it was back. Seconds."""

    sent: float
    begin: float
    done: float
    alone: bool
    """Whether its instance had nothing else to do: it did not wait there for another batch to end."""


def _flights(records: Iterable[Record]) -> list[list[_Flight]]:
    """The batches of each request, of which there was one at a time."""
    found: list[list[_Flight]] = []
    sent: dict[int, tuple[str, float, bool]] = {}
    flights: list[_Flight] = []
    single = False
    for record in records:
        match record.event:
            case RequestArrived(call=call):
                flights, single = [], call is not None
            case BatchDone(batch=batch, run_ms=run_ms):
                begin = record.at - run_ms / 1e3
                _, at, alone = sent.pop(batch, ("", begin, False))
                flights.append(_Flight(min(at, begin), begin, record.at, alone))
                if single:
                    found.append(flights)
            case RequestEnded():
                found.append(flights)
        for each in record.effects:
            if type(each) is RunBatch:
                busy = {instance for instance, _, _ in sent.values()}
                sent[each.batch] = each.instance, record.at, each.instance not in busy
    return found


def _covered_ms(intervals: Iterable[tuple[float, float]]) -> float:
    covered, reached = 0.0, 0.0
    for begin, end in sorted(intervals):
        covered += max(end - max(begin, reached), 0.0)
        reached = max(reached, end)
    return 1e3 * covered


async def _ask(url: str, pid: int, pipeline: Pipeline, duration_s: float) -> tuple[list[float], float]:
    """Latencies in milliseconds, and CPU seconds of the process meanwhile.

    After each request there is a rest as long as it took: on cores that never rest batches run faster than when served.
    """
    shots, process = make_shots(pipeline), psutil.Process(pid)
    async with Client(url) as client:
        await warm_up(client, pipeline.name, shots, timeout_ms=PATIENCE_MS)
        begin, spent = time.perf_counter(), _cpu_s(process)
        latencies: list[float] = []
        while len(latencies) < MOST_REQUESTS and (
            len(latencies) < LEAST_REQUESTS or time.perf_counter() - begin < duration_s
        ):
            latencies.append(await _latency_ms(client, pipeline, shots[len(latencies) % len(shots)]))
            await asyncio.sleep(latencies[-1] / 1e3)
        return latencies, _cpu_s(process) - spent


async def _latency_ms(client: Client, pipeline: Pipeline, shot: Shot) -> float:
    begin = time.perf_counter()
    await client.send(pipeline.name, shot.body, shot.header_length, timeout_ms=PATIENCE_MS)
    return (time.perf_counter() - begin) * 1e3


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

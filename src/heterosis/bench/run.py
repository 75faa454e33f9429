"""One measured load on one server, from the first request to the report."""

import gc
import time
from collections.abc import Callable
from contextlib import nullcontext

import msgspec

from heterosis.bench.load import Outcome, offer, warm_up
from heterosis.bench.metrics import Readings, parse_readings
from heterosis.bench.report import Report, make_report
from heterosis.bench.shots import accuracy_of, in_turn, make_shots, truths_of
from heterosis.client import Client, GrpcClient
from heterosis.pipeline import Pipeline
from heterosis.terms import Slo
from heterosis.terms.errors import HeterosisError, UsageError


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is offered: ``arrivals`` in seconds, ascending, within ``duration_s``; ``seed`` decides the samples."""

    arrivals: tuple[float, ...]
    duration_s: float
    seed: int = 0
    timeout_ms: float | None = None
    """Rides on each request; None leaves the deadline to the server."""

    def __post_init__(self) -> None:
        """Refuse a load that shows nothing."""
        if not self.arrivals or not self.duration_s > 0:
            raise UsageError(
                f"a load of {len(self.arrivals)} requests in {self.duration_s:g} s shows nothing: raise its rate or "
                "its duration"
            )

    @property
    def rate_rps(self) -> float:
        """Mean rate."""
        return len(self.arrivals) / self.duration_s


async def run_load(
    url: str,
    pipeline: Pipeline,
    load: Load,
    *,
    slo: Slo | None = None,
    grpc: str | None = None,
    progress: Callable[[Outcome], object] = lambda _: None,
) -> Report:
    """Offer a pipeline's samples to the server at ``url``, and report.

    Answers are held against ``slo`` (the pipeline's own by default); joules and CPU time are the server's between the
    first arrival and the last answer. Every sample is sent once before, uncounted. Where the SLO asks for an accuracy,
    samples without a truth are run here on the reference variants, after the load. With ``grpc``, ``host:port``, the
    samples go there; what the server has spent is still asked at ``url``.
    """
    shots = make_shots(pipeline, grpc=grpc is not None)
    async with Client(url) as client, GrpcClient(grpc) if grpc is not None else nullcontext(client) as sender:
        await warm_up(sender, pipeline.name, shots)
        before = await _readings(client)
        gc.freeze()  # what was made so far needs no looking through while requests are due
        cpu_s = time.process_time()
        shots_due = zip(load.arrivals, in_turn(shots, load.seed), strict=False)
        outcomes = await offer(sender, pipeline.name, shots_due, timeout_ms=load.timeout_ms, progress=progress)
        cpu_s = time.process_time() - cpu_s
        gc.unfreeze()
        spent = (await _readings(client)).since(before)
    answers = [(outcome.sample, outcome.outputs) for outcome in outcomes if outcome.outputs is not None]
    slo = slo or pipeline.slo
    told = [sample.truth for sample in pipeline.load_samples()]
    truths = told if slo.min_accuracy is None else await truths_of(pipeline)
    accuracy, judged = accuracy_of(pipeline, answers, truths)
    return make_report(
        outcomes,
        slo,
        load.duration_s,
        accuracy=accuracy,
        judged=judged,
        spent=spent,
        client_cpu_s=cpu_s,
    )


async def _readings(client: Client) -> Readings:
    """What the server has spent; unknown where it does not say."""
    try:
        return parse_readings(await client.metrics())
    except HeterosisError:
        return Readings()

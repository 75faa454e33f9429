"""Twice and five times what a server can do: whether goodput stays, and how soon the rest is refused.

One instance of a model of ten milliseconds on one core, requests of 110 KB by HTTP in an open loop, each with a hard
deadline; goodput is answers before it per second. Capacity is what a closed loop of eight clients gets answered. The
loads take turns, several times, and the medians count. Clients share the machine with the server, and the more are
refused, the more of it they take.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.peers import generator
from benchmarks.peers.models import INPUT, example, make_models
from benchmarks.peers.server import Batching, running
from benchmarks.peers.servers import PEERS
from benchmarks.peers.trial import Program
from benchmarks.soak import offer as offer_closed
from heterosis.arrivals import poisson
from heterosis.bench.load import Outcome, offer
from heterosis.bench.shots import Shot
from heterosis.client import Client
from heterosis.serving.protocol import InferRequest, encode_request

MODEL_MS, DEADLINE_MS = 10.0, 200.0
TIMES = (1, 2, 5)
ROUNDS, SECONDS, CLIENTS = 3, 5.0, 8
REFUSED = 429


class Found(msgspec.Struct, frozen=True):
    """What became of one load."""

    goodput_rps: float
    refused_p99_ms: float
    """NaN where none was refused."""
    late: float
    """Share of those admitted."""
    lag_p99_ms: float
    """Of the clients themselves."""


def run() -> dict[str, float]:
    """Measure."""
    peer = PEERS["heterosis"]
    with tempfile.TemporaryDirectory() as folder:
        (model,) = make_models(Path(folder), (MODEL_MS,))
        with running(peer, sys.executable, model, Batching()) as server:
            program = Program("benchmarks.peers.generator")
            target = peer.forms["binary"].encode(example())
            order = generator.Order(port=server.port, target=target, seconds=SECONDS, clients=CLIENTS)
            closed = offer_closed(program, order)
            program.close()
            capacity = closed.count / closed.seconds
            rounds = [
                [asyncio.run(load(server.port, times * capacity, seed)) for times in TIMES] for seed in range(ROUNDS)
            ]
    figures = {"capacity, requests/s": capacity}
    for position, times in enumerate(TIMES):
        found = [each[position] for each in rounds]
        figures |= {
            f"{times}x: goodput, requests/s": statistics.median(each.goodput_rps for each in found),
            f"{times}x: goodput, of capacity": statistics.median(each.goodput_rps for each in found) / capacity,
            f"{times}x: goodput, of that at 1x": statistics.median(
                each[position].goodput_rps / each[0].goodput_rps for each in rounds
            ),
            f"{times}x: refusals, p99 ms": statistics.median(each.refused_p99_ms for each in found),
            f"{times}x: late, of those admitted": statistics.median(each.late for each in found),
            f"{times}x: the clients' own lag, p99 ms": statistics.median(each.lag_p99_ms for each in found),
        }
    return figures


async def load(port: int, rate_rps: float, seed: int) -> Found:
    """Offer a rate."""
    length, parts = encode_request(InferRequest(inputs={INPUT: example()}, binary_output=True))
    shot = Shot(sample=0, body=b"".join(parts), header_length=length)
    async with Client(f"http://127.0.0.1:{port}") as client:
        await client.send("net", shot.body, shot.header_length)
        arrivals = [(at, shot) for at in poisson(rate_rps, SECONDS, seed)]
        return judge(await offer(client, "net", arrivals, timeout_ms=DEADLINE_MS))


def judge(outcomes: list[Outcome]) -> Found:
    """Tell the figures."""
    in_time = sum(each.answered and each.latency_ms <= DEADLINE_MS for each in outcomes)
    refused = [(each.done_s - each.sent_s) * 1e3 for each in outcomes if each.status == REFUSED]
    return Found(
        goodput_rps=in_time / SECONDS,
        refused_p99_ms=float(np.percentile(refused, 99)) if refused else float("nan"),
        late=1 - in_time / max(len(outcomes) - len(refused), 1),
        lag_p99_ms=float(np.percentile([each.lag_ms for each in outcomes], 99)),
    )

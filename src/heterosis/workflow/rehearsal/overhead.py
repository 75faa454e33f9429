"""What the server itself adds to a request of a rehearsal: HTTP, routing and hops, which the simulator does not have.

A few requests are sent one after the other before the load, when nothing else is under way. What they took beyond what
the simulator says of the very same requests, on average, is the server's own.
"""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from heterosis.bench.shots import Shot
from heterosis.client import Client
from heterosis.planning.fleet import Task
from heterosis.simulation import Arrival, Simulator
from heterosis.terms import Overhead, Plan

ASKED = 12
"""Requests of each pipeline."""
APART_S = 10.0
"""Between simulated ones: each is alone."""
SEEDS = range(5)

Alone = tuple[str, int, float]
"""A request's pipeline, the position of its shape, and its latency in milliseconds."""


async def ask_alone(client: Client, shots: Mapping[str, Sequence[Shot]]) -> list[Alone]:
    """Send some of the shots of each pipeline, one at a time."""
    loop, found = asyncio.get_running_loop(), list[Alone]()
    for number in range(ASKED):
        for name, of in shots.items():
            position = number * len(of) // ASKED
            begin = loop.time()
            await client.send(name, of[position].body, of[position].header_length)
            found.append((name, position, 1e3 * (loop.time() - begin)))
    return found


def overhead_of(task: Task, plan: Plan, asked: Sequence[Alone]) -> Overhead:
    """Compare with the simulator, under the plan that they were served by."""
    shapes = {each.graph.pipeline: each.graph.requests for each in task.workloads}
    arrivals = [
        Arrival(APART_S * number, shapes[name][position], pipeline=name)
        for number, (name, position, _) in enumerate(asked)
    ]
    simulated_ms = [1e3 * Simulator(plan, seed=seed).run(arrivals).records.latencies for seed in SEEDS]
    own_ms = np.array([latency_ms for _, _, latency_ms in asked]) - np.mean(simulated_ms, axis=0)
    return Overhead(wall_ms=max(float(np.nanmean(own_ms)), 0.0), requests=len(asked))

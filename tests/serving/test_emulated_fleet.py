"""Emulated instances: many in one process, each with its own variant; their server does as the simulator says."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.agreement import FEATURES, P95_RATIO, compare, make_kind, rehearsal
from heterosis.client import Client
from heterosis.scheduling import BatchDone, InstanceDown, RunBatch, validate
from heterosis.serving.models import State
from heterosis.serving.protocol import InferRequest, encode_request
from heterosis.simulation import replay
from heterosis.terms import Plan
from heterosis.terms.errors import UnavailableError
from tests.serving.conftest import Serve, Server, toy_plan

VALUES = {"values": np.ones(FEATURES, np.float32)}
KINDS = {"swift": make_kind(10.0, 2, 9.0, instances=3), "tiny": make_kind(40.0, 1, 1.0, instances=2)}

Fleet = Callable[..., contextlib.AbstractAsyncContextManager[Server]]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Plan five quick instances of two kinds; what they load is there."""
    return rehearsal(tmp_path, "fcfs", KINDS)[1]


@pytest.fixture
def fleet(tmp_path: Path, serving: Serve) -> Fleet:
    """Serve such a plan."""
    return lambda plan, **options: serving(plan, target=str(tmp_path / "pipeline.py"), **options)


async def ask(server: Server) -> list[float]:
    """Send one request past the gateway."""
    answer = await server.model.infer(VALUES, timeout_ms=10_000)
    assert isinstance(answer, np.ndarray)
    return [float(value) for value in answer]


def names(plan: Plan) -> set[str]:
    """Return the names that the server has for the plan's instances."""
    return {f"rehearse/{placement.instance}" for placement in plan.placements}


def downs(server: Server, reason: str = "") -> set[str]:
    """Return the instances that went down for such a reason so far."""
    events = [record.event for record in server.records if isinstance(record.event, InstanceDown)]
    return {event.instance for event in events if reason in event.reason}


async def until(met: Callable[[], bool]) -> None:
    """Wait for what must come soon."""
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


def test_a_live_fleet_does_as_the_simulator_says(tmp_path: Path) -> None:
    """16 instances behind `heterosis serve` at 80 % load: latencies and goodput are those that were simulated."""
    compared = compare(tmp_path, "heterosis", 0.8, seconds=5.0, simulations=3)
    ratios = {name: live / simulated for name, live, simulated, _, _ in compared.figures()}
    assert ratios["p50_ms"] == pytest.approx(1, abs=0.25)
    assert ratios["p99_ms"] == pytest.approx(1, abs=0.25)
    assert ratios["goodput_rps"] == pytest.approx(1, abs=0.05)


async def test_one_process_hosts_all_emulated_instances(fleet: Fleet, plan: Plan) -> None:
    """All instances live in one process that is not the server's, and batches run side by side in it."""
    async with fleet(plan) as server:
        pids = server.launcher.pids()
        assert pids.keys() == names(plan)
        assert len(set(pids.values())) == 1
        assert os.getpid() not in pids.values()
        answers = await asyncio.gather(*(ask(server) for _ in range(30)))
        validate(server.router.scheduler)
        used = {effect.instance for record in server.records for effect in record.effects if type(effect) is RunBatch}
    assert answers == [[0.0] * FEATURES] * 30
    assert used == pids.keys()


async def test_every_instance_runs_the_variant_of_its_configuration(fleet: Fleet, plan: Plan) -> None:
    """Run times are those of the kind of device that each instance stands for."""
    async with fleet(plan) as server:
        await asyncio.gather(*(ask(server) for _ in range(40)))
    where: dict[int, str] = {}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for record in server.records:
        where |= {effect.batch: effect.instance for effect in record.effects if isinstance(effect, RunBatch)}
        if isinstance(record.event, BatchDone):
            times[where[record.event.batch].partition("-")[0].removeprefix("rehearse/")].append(record.event.run_ms)
    shortest = {"swift": (2 - P95_RATIO) * 10.0, "tiny": (2 - P95_RATIO) * 40.0}
    for kind, run_ms in times.items():
        assert shortest[kind] <= min(run_ms) < 2 * shortest[kind]


async def test_the_death_of_the_process_is_the_death_of_all_its_instances(fleet: Fleet, plan: Plan) -> None:
    """Killed under load, every instance is reported down and started again; no request is lost."""
    async with fleet(plan) as server:
        pending = [asyncio.create_task(ask(server)) for _ in range(30)]
        await asyncio.sleep(0.03)
        (before,) = set(server.launcher.pids().values())
        os.kill(before, signal.SIGKILL)
        assert await asyncio.gather(*pending) == [[0.0] * FEATURES] * 30
        await server.router.wait_ready()
        (after,) = set(server.launcher.pids().values())
        validate(server.router.scheduler)
    assert after != before
    assert downs(server, "SIGKILL") == names(plan)
    assert replay(server.records) is None


async def test_an_instance_that_is_no_longer_planned_leaves_the_others_alone(fleet: Fleet, plan: Plan) -> None:
    """It ends, its process does not; planned again, it joins the same process."""
    async with fleet(plan) as server:
        before = server.launcher.pids()
        whole = server.router.plan
        await server.router.change_plan(msgspec.structs.replace(whole, placements=whole.placements[1:]))
        await until(lambda: server.launcher.pids().keys() == before.keys() - {"rehearse/swift-0"})
        assert await ask(server) == [0.0] * FEATURES
        await server.router.change_plan(whole)
        assert server.launcher.pids() == before


async def test_one_that_cannot_load_says_why_and_takes_none_with_it(fleet: Fleet, plan: Plan, tmp_path: Path) -> None:
    """The reason reaches who waits for the server; the others in the process stay ready."""
    (tmp_path / "tiny.json").write_text("{}")
    async with fleet(plan, wait=False) as server:
        with pytest.raises(UnavailableError, match=r"tiny-\d cannot load: EngineError: .*tiny.json holds no operating"):
            await server.model.available()
        await until(lambda: server.launcher.pids() == {})
        (listing,) = server.repository.index()
        assert listing.state is State.UNAVAILABLE
        assert "cannot load" in listing.reason


async def test_answers_and_metadata_say_that_they_are_emulated(fleet: Fleet, plan: Plan) -> None:
    """No client can take an emulated answer for a real one."""
    length, body = encode_request(InferRequest(inputs=VALUES, binary_output=True))
    async with fleet(plan) as server, Client(server.url) as client:
        metadata = await client.model_metadata("rehearse")
        answer = await client.send("rehearse", b"".join(body), length)
        metrics = await client.metrics()
    assert metadata.platform == "heterosis_emulated"
    assert answer.parameters == {"emulated": True}
    assert 'variant="swift/emulated-any"' in metrics


async def test_a_real_server_does_not_say_so(serving: Serve) -> None:
    """Only emulated answers are marked."""
    async with serving(toy_plan()) as server, Client(server.url) as client:
        metadata = await client.model_metadata("toy")
        assert len(set(server.launcher.pids().values())) == len(server.launcher.pids())
    assert metadata.platform == "heterosis"

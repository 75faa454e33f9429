"""`heterosis rehearse` and `heterosis status`: a real server on emulated devices, for some seconds."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from heterosis.cli.status import shown
from heterosis.client import Client
from heterosis.control import Measure, Settings
from heterosis.profiling import Settings as ProfilingSettings
from heterosis.serving.protocol import InferRequest, Parameters, encode_request
from heterosis.serving.status import Status
from heterosis.workflow.chain import Workflow
from heterosis.workflow.looping import LoopedService, MachineMeasurer
from heterosis.workflow.rehearsal.running import Rehearsed
from heterosis.workflow.subserver import serving

Command = Callable[..., Any]
FLEET = """
title = "one board, two sticks"
[[node]]
name = "orin-nx"
link_ms = 0.3
bandwidth_mbit_s = 1000
device = [{ type = "orin-nx" }]
[[node]]
name = "hub"
link_ms = 0.3
bandwidth_mbit_s = 1000
device = [{ type = "coral", count = 2 }]
"""
"""Few devices, of few kinds: quick to plan for."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fleet lies."""
    path = tmp_path_factory.mktemp("fleet") / "few.toml"
    path.write_text(FLEET)
    return path


@pytest.mark.timeout(300)
def test_a_rehearsal_tells_what_was_foretold_and_what_came(heterosis: Command, fleet: Path) -> None:
    """Nothing is lost, every figure is there, and live is near what was simulated. How near, benchmarks measure."""
    done = heterosis(
        *("rehearse", "traffic", "--fleet", fleet, "--rate", 6, "--duration", 8, "--arrivals", "poisson"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout, type=Rehearsed)
    assert found.lost == 0
    assert found.requests > 20
    assert found.live.attainment > 0.7
    for figures in (found.predicted, found.simulated, found.live, found.static):
        assert figures.joules > 0
        assert 0 < figures.p50_ms <= figures.p99_ms
    assert found.live.joules / found.simulated.joules == pytest.approx(1.0, abs=0.3)


@pytest.mark.timeout(300)
def test_the_status_of_a_server_that_adapts(heterosis: Command, store: Path, fleet: Path) -> None:
    """What runs where, what it is for, joules with their quality; for people and as JSON."""
    options = ["--fleet", str(fleet), "--rate", "3", "--adapt", "--every", "1", "--store", str(store)]
    with serving("traffic+documents", options) as url:
        done = heterosis("status", url, "--json")
        assert done.returncode == 0
        found = msgspec.json.decode(done.stdout, type=Status)
        assert found.adapting
        assert {each.name for each in found.pipelines} == {"traffic", "documents"}
        assert all(each.capacity_rps and each.planned_rps for each in found.pipelines)
        assert found.devices
        assert found.devices_off == 3 - len(found.devices)
        assert {each.quality.value for each in found.energy.values()} == {"modelled"}
        assert "adapting" in heterosis("status", url).stdout
    assert shown(found)


@pytest.mark.timeout(300)
def test_classes_are_served_at_floors_of_their_own(heterosis: Command, store: Path, fleet: Path) -> None:
    """Requests of priority 1 by accurate variants, the others by such as take less; the status says so."""
    options = ["--fleet", str(fleet), "--rate", "6", "--adapt", "--every", "2", "--store", str(store)]
    options += ["--accuracy", "0.75", "--class-accuracy", "1=0.9"]
    with serving("traffic", options) as url:
        asyncio.run(ask(url, 80))
        done = heterosis("status", url, "--json")
        (traffic,) = msgspec.json.decode(done.stdout, type=Status).pipelines
        told = heterosis("status", url).stdout
    classes = {each.name: each for each in traffic.classes}
    assert classes.keys() == {"1", "default"}
    assert (classes["1"].min_accuracy, classes["default"].min_accuracy) == (0.9, 0.75)
    assert (classes["1"].accuracy or 0.0) >= 0.9 - 0.02
    assert 0.75 - 0.02 <= (classes["default"].accuracy or 0.0) < (classes["1"].accuracy or 0.0)
    assert "(floor 0.9)" in told


async def ask(url: str, count: int) -> None:
    """Send requests, every other one of priority 1."""
    counts = np.array([1, 3], np.int64)
    async with Client(url) as client:
        for number in range(count):
            parameters: Parameters = {"priority": 1} if number % 2 else {}
            length, body = encode_request(InferRequest(inputs={"counts": counts}, parameters=parameters))
            await client.send("traffic", b"".join(body), length)


def test_no_server_is_said_to_be_none(heterosis: Command) -> None:
    """With the reason, and exit code 1."""
    done = heterosis("status", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no server answers" in done.stderr


@pytest.mark.timeout(300)
def test_a_pipeline_of_ones_own_follows_its_load(heterosis: Command, pipeline_file: Path, store: Path) -> None:
    """On this machine, with its own variants: more comes than was planned for, and what is allotted follows."""
    options = ["--rate", "2", "--adapt", "--every", "2", "--store", str(store)]
    with serving(str(pipeline_file), options) as url:
        done = heterosis("bench", url, "--pipeline", pipeline_file, "--rate", 30, "--duration", 6, "--json")
        found = msgspec.json.decode(heterosis("status", url, "--json").stdout, type=Status)
    assert done.returncode == 0, done.stderr
    (letters,) = found.pipelines
    assert found.adapting
    assert letters.requests > 100
    assert letters.in_time >= 0.5 * letters.requests  # more than half, however busy the machine
    assert letters.planned_rps > 2.0
    assert found.decisions


@pytest.mark.timeout(300)
def test_this_machine_is_measured_anew_as_the_loop_asks(pipeline_file: Path, store: Path) -> None:
    """What the plan has instances of, by the names that the router has; who looks next finds it in the store."""
    workflow = Workflow(str(pipeline_file), store, settings=ProfilingSettings(budget_s=5.0))
    service = LoopedService(workflow, 2.0, Settings())
    profile = service.task.workloads[0].profile.points
    first = service.plan.placements[0]
    act = Measure(node=first.node, device=first.device, placements=service.plan.placements)
    points = asyncio.run(MachineMeasurer(service).measure(act))
    planned = {each.configuration for each in service.plan.placements}
    assert {point.configuration for point in points} == planned
    before = {(each.configuration, each.batch): each for each in profile}
    assert all(before[point.configuration, point.batch] != point for point in points)
    again = LoopedService(
        Workflow(str(pipeline_file), store, settings=ProfilingSettings(budget_s=5.0)), 2.0, Settings()
    )
    assert set(points) <= set(again.task.workloads[0].profile.points)

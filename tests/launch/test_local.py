"""Worker processes on this machine: one each for workers that compute, none of which outlives its launcher."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from heterosis.launch.local import LocalLauncher
from heterosis.pipeline import FUNCTION
from heterosis.scheduling import InstanceDown
from heterosis.terms import Configuration, Placement, Variant
from heterosis.terms.errors import StageError
from heterosis.testing import make_plan, make_variant
from tests.serving.conftest import serve

REAL = make_variant("a", model=FUNCTION, engine=FUNCTION)
EMULATED = make_variant("a")
NOWHERE = "unix:///tmp/heterosis-nobody-listens-here"

EXITS = """
import sys
import heterosis as hs

class Leave:
    def run(self, status):
        if status >= 0:
            sys.exit(status)
        return status

leave = hs.stage(Leave)

@hs.pipeline(slo=hs.Slo(latency_ms=5000))
async def leaving(status: int) -> int:
    return await leave(status)
"""


def placed(instance: str, *slots: int) -> Placement:
    """Place an instance."""
    at = Configuration(stage="a", variant=REAL.name, device_type="toy")
    return Placement(instance=instance, configuration=at, max_batch=1, node="here", device="toy", slots=slots)


class Fleet:
    """A launcher, and what it said of its instances."""

    def __init__(self) -> None:
        """Start with no instance."""
        self.launcher = LocalLauncher()
        self.ended: list[tuple[str, str]] = []

    async def start(self, placement: Placement, variant: Variant) -> None:
        """Start a worker that will wait for its router for ever."""
        await self.launcher.start(placement, variant, NOWHERE, "token", lambda *end: self.ended.append(end))


async def test_workers_that_compute_have_processes_and_cores_of_their_own() -> None:
    """Each is pinned to its slot; emulated ones share a process that is pinned to nothing."""
    fleet = Fleet()
    cores = sorted(os.sched_getaffinity(0))
    await asyncio.gather(
        fleet.start(placed("real-0", 0), REAL),
        fleet.start(placed("real-1", len(cores) - 1), REAL),
        fleet.start(placed("emulated-0", 0), EMULATED),
        fleet.start(placed("emulated-1", 99), EMULATED),
    )
    pids = fleet.launcher.pids()
    assert len(set(pids.values())) == 3
    assert pids["emulated-0"] == pids["emulated-1"]
    wanted = {
        "real-0": {cores[0]},
        "real-1": {cores[-1]},
        "emulated-0": set(cores),
        "emulated-1": set(cores),
    }
    async with asyncio.timeout(5):
        while {name: os.sched_getaffinity(pid) for name, pid in pids.items()} != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the first thing that a process does
    await asyncio.gather(*(fleet.launcher.stop(name) for name in pids))
    assert {name for name, _ in fleet.ended} == pids.keys()
    assert fleet.launcher.pids() == {}
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


async def test_stopping_one_of_many_leaves_the_process_to_the_others() -> None:
    """Each end is told once; the process ends with the last; the next instance gets a new one."""
    fleet = Fleet()
    for name in ("x", "y"):
        await fleet.start(placed(name), EMULATED)
    pid = fleet.launcher.pids()["x"]
    await fleet.launcher.stop("x")
    assert fleet.ended == [("x", f"worker process {pid} ended it: told to end")]
    assert fleet.launcher.pids() == {"y": pid}
    await fleet.launcher.stop("y")
    await fleet.launcher.stop("y")  # which is gone, and no matter
    assert [name for name, _ in fleet.ended] == ["x", "y"]
    assert not psutil.pid_exists(pid)
    await fleet.start(placed("x"), EMULATED)
    assert fleet.launcher.pids()["x"] != pid
    await fleet.launcher.stop("x")


async def test_a_stage_that_exits_takes_its_worker_down_and_is_answered_for(tmp_path: Path) -> None:
    """sys.exit() in a stage ends the instance, not in silence: its call is poison in the end, others are served."""
    file = tmp_path / "exits.py"
    file.write_text(EXITS)
    plan = make_plan(
        {"leave": 5.0},
        slots=1,
        slo_ms=5000,
        variants={"leave": make_variant("leave", model=FUNCTION, engine=FUNCTION)},
        pipeline="leaving",
    )
    async with serve(tmp_path, plan, target=str(file)) as server:
        with pytest.raises(StageError, match=r"3 instances went down while running it: .*SystemExit: 4"):
            await server.model.infer({"status": 4}, timeout_ms=20_000)
        assert await server.model.infer({"status": -1}, timeout_ms=20_000) == -1
        events = [record.event for record in server.records]
    assert sum(isinstance(event, InstanceDown) for event in events) >= 3

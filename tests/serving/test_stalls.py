"""How long the event loop was held up, told apart from cores that others had."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from heterosis.serving import stalls
from heterosis.serving.stalls import Stalls

BUSY = "while True: pass"


def hold_up(work_s: float, sleep_s: float) -> None:
    """Compute for so long, and wait."""
    begin = time.thread_time()
    while time.thread_time() < begin + work_s:
        pass
    time.sleep(sleep_s)


async def watched(work_s: float, sleep_s: float = 0.0) -> Stalls:
    """Watch an event loop that is held up once."""
    found = Stalls()
    watching = asyncio.create_task(found.watch())
    await asyncio.sleep(0.1)
    hold_up(work_s, sleep_s)
    await asyncio.sleep(0.1)
    watching.cancel()
    return found


async def test_what_the_server_does_in_one_go_is_its_own() -> None:
    """To wait for a disk or a lock is as much its own doing as to compute."""
    found = await watched(0.1, 0.1)
    assert found.longest_s > 0.15
    assert 0.15 < found.longest_own_s <= found.longest_s


async def test_without_a_count_of_the_system_only_what_it_computed_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux."""
    monkeypatch.setattr(stalls, "SCHEDSTAT", "/nowhere")
    found = await watched(0.1, 0.2)
    assert 0.05 < found.longest_own_s < 0.2 < found.longest_s


@pytest.fixture
def crowded_core() -> Iterator[None]:
    """Have this thread share one core with six busy processes."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(6)]  # noqa: S603 - a program of our own
    time.sleep(0.3)
    yield
    for each in others:
        each.kill()
        each.wait()
    os.sched_setaffinity(0, before)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by Linux alone")
@pytest.mark.usefixtures("crowded_core")
async def test_cores_that_others_have_are_told_apart() -> None:
    """The loop is held up for longer than it computes."""
    found = await watched(0.05)
    assert found.longest_s > 0.1
    assert found.longest_own_s < found.longest_s / 2


async def test_a_calm_loop_is_not_woken_up_all_the_time() -> None:
    """Whoever watches looks seldom while nobody waits, and still sees a stall that is long."""
    looks = [0]

    def busy() -> bool:
        looks[0] += 1
        return False

    found = Stalls()
    watching = asyncio.create_task(found.watch(busy))
    await asyncio.sleep(0.6)
    assert looks[0] <= 4
    hold_up(0.0, 0.5)
    await asyncio.sleep(0.1)
    watching.cancel()
    assert found.longest_own_s > 0.2

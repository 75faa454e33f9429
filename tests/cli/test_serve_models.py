"""`heterosis serve` on model files: ready soon, in little memory."""

import asyncio
from pathlib import Path

import numpy as np
import psutil

from heterosis.client import Client
from heterosis.serving.server import run
from heterosis.testing.onnx_models import write_simple
from heterosis.workflow.subserver import serving, subserver

MOST_CPU_S, MOST_BYTES = 2.0, 150 << 20


async def _described(url: str) -> list[str]:
    async with Client(url) as client:
        return [each.name for each in (await client.model_metadata("sums")).outputs]


def test_a_small_model_is_ready_soon_and_takes_little_memory(tmp_path: Path) -> None:
    """CPU time from start to ready, which an idle machine spends in less wall time, and all processes' memory."""
    with serving(str(write_simple(tmp_path / "sums.onnx")), ["--store", str(tmp_path / "store")]) as url:
        port = int(url.rpartition(":")[2])
        mine = psutil.Process().children(recursive=True)
        (server,) = [each for each in mine if any(c.laddr.port == port for c in each.net_connections("tcp"))]
        processes = [server, *server.children(recursive=True)]
        times = [each.cpu_times() for each in processes]
        assert len(processes) == 2
        assert sum(each.user + each.system for each in times) + times[0].children_user < MOST_CPU_S
        assert sum(each.memory_info().rss for each in processes) < MOST_BYTES
        assert run(_described(url)) == ["OUTPUT0", "OUTPUT1"]


def _shared_bytes(pid: int) -> int:
    """What bodies take of the memory that is shared with workers."""
    files = Path(f"/proc/{pid}/fd").iterdir()
    return next(file.stat().st_blocks * 512 for file in files if "heterosis-transport" in str(file.readlink()))


async def _crowd(url: str, pid: int) -> list[int]:
    """Send requests of 128 KB, many at once; return what bodies take after that, second by second."""
    rows = np.ones((1000, 16), np.int32)
    async with Client(url) as client:
        await asyncio.gather(*(client.infer("sums", {"INPUT0": rows, "INPUT1": rows}) for _ in range(40)))
        found = [_shared_bytes(pid)]
        while found[-1] and len(found) < 10:
            await asyncio.sleep(1)
            found.append(_shared_bytes(pid))
    return found


def test_memory_that_a_crowd_needed_goes_back_to_the_system(tmp_path: Path) -> None:
    """All of it, within seconds, though its clients stay connected."""
    with subserver(str(write_simple(tmp_path / "sums.onnx")), ["--store", str(tmp_path / "store")]) as server:
        found = run(_crowd(server.url, server.pid))
    assert found[0] > 128_000
    assert found[-1] == 0

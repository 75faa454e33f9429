"""`heterosis serve` on model files: ready soon, in little memory."""

from pathlib import Path

import psutil

from heterosis.client import Client
from heterosis.serving.server import run
from heterosis.testing.onnx_models import write_simple
from heterosis.workflow.subserver import serving

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

"""A packed worker joins a running server, and takes load."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from heterosis.packing import pack
from heterosis.pipeline import load_pipeline
from heterosis.workflow.chain import Workflow
from tests.packing.conftest import World

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test alone


class Running(msgspec.Struct):
    """A server, and a packed worker for it."""

    url: str
    workers: str
    pack: Path
    folder: Path
    process: "subprocess.Popen[bytes]"

    def stop(self) -> None:
        """Stop the server, unless that was done before."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def start(self, token: str = TOKEN, name: str = "guest") -> "subprocess.Popen[bytes]":
        """Start the worker, with the interpreter at hand."""
        file = self.folder / f"token-of-{name}"
        file.touch(0o600)
        file.write_text(token)
        return subprocess.Popen(  # noqa: S603
            [self.pack / "start", "--join", self.workers, "--token-file", file, "--name", name],
            env={**os.environ, "PYTHON": sys.executable},
            stderr=subprocess.PIPE,
        )

    async def pids(self, requests: int) -> set[int]:
        """Send so many requests at once, of 50 ms each; return which processes answered."""
        body = {"inputs": [{"name": "ms", "datatype": "FP64", "shape": [1], "data": [50.0]}]}
        async with aiohttp.ClientSession() as session:

            async def ask() -> int:
                async with session.post(f"{self.url}/v2/models/here/infer", json=body) as answer:
                    content: Any = await answer.json()
                    assert answer.status == 200, content
                    greeting, pid = msgspec.json.decode(content["outputs"][0]["data"][0])
                    assert greeting == "hello"
                    return int(pid)

            return set(await asyncio.gather(*(ask() for _ in range(requests))))

    async def wait_for(self, pid: int, *, there: bool, at_once: int = 8) -> None:
        """Send requests, so many at once, until a process answers some, or none any more."""
        ends = time.monotonic() + 60
        while (pid in await self.pids(at_once)) is not there:
            assert time.monotonic() < ends, f"process {pid} should {'' if there else 'not '}answer"
            await asyncio.sleep(0.1)


@contextmanager
def server(world: World, folder: Path, options: Sequence[str] = ()) -> Iterator[Running]:
    """Run a server where workers may join: by the world's plan, or with other options."""
    plan, token = folder / "plan.json", folder / "token"
    plan.write_bytes(msgspec.json.encode(world.plan))
    options = options or ["--plan", str(plan), "--store", str(folder / "store")]
    token.touch(0o600)
    token.write_text(TOKEN)
    command = [
        sys.executable,
        "-m",
        "heterosis.cli",
        "serve",
        str(world.file),
        *options,
        "--port",
        "0",
        "--grpc-port",
        "none",
        "--workers-at",
        "tcp://127.0.0.1:0",
        "--token-file",
        str(token),
        "--json",
        "--quiet",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        said = msgspec.json.decode(process.stdout.readline())
        packed = pack(load_pipeline(str(world.file)), str(world.file), world.variant, folder / "packs")
        found = Running(url=said["url"], workers=said["workers"], pack=packed, folder=folder, process=process)
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="module")
def running(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests that go by the world's plan."""
    with server(world, tmp_path_factory.mktemp("server")) as found:
        yield found


async def test_it_takes_load_and_may_leave(running: Running) -> None:
    """Beside the server's own worker the guest answers; when it is killed the server goes on without it."""
    own = await running.pids(12)
    with running.start() as guest:
        await running.wait_for(guest.pid, there=True)
        assert await running.pids(24) <= own | {guest.pid}
        guest.kill()
        assert await running.pids(12) <= own | {guest.pid}, "what it held is answered by another"
        await running.wait_for(guest.pid, there=False)
    with running.start() as again:
        await running.wait_for(again.pid, there=True)
        again.terminate()


async def test_who_does_not_know_the_token_is_turned_away(running: Running) -> None:
    """It is told so, ends with 2, and gets no call."""
    with running.start(TOKEN[::-1], name="stranger") as stranger:
        _, said = await asyncio.to_thread(stranger.communicate)
    assert stranger.returncode == 2
    assert b"the token is not the server's" in said
    assert stranger.pid not in await running.pids(4)


async def test_another_variant_is_of_no_use(running: Running, world: World, tmp_path: Path) -> None:
    """A worker whose variant the plan does not run is refused, with what the plan runs."""
    other = msgspec.structs.replace(world.variant, digest="another")
    packed = pack(load_pipeline(str(world.file)), str(world.file), other, tmp_path)
    with msgspec.structs.replace(running, pack=packed).start(name="other") as guest:
        _, said = await asyncio.to_thread(guest.communicate)
    assert guest.returncode == 2
    assert b"no stage 'where' of the plan in force runs the variant" in said


def test_a_token_that_others_can_read_is_refused(running: Running, tmp_path: Path) -> None:
    """So is one that could be guessed."""
    for content, mode, complaint in ((TOKEN, 0o644, b"others can read the token"), ("short", 0o600, b"at least 16")):
        file = tmp_path / "token"
        file.write_text(content)
        file.chmod(mode)
        done = subprocess.run(  # noqa: S603
            [running.pack / "start", "--join", running.workers, "--token-file", file],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
        assert complaint in done.stderr


async def test_it_ends_with_the_server(running: Running) -> None:
    """When the server is stopped, the worker says so and ends well. The last test, since it is the server of all."""
    guest = running.start(name="last")
    await running.wait_for(guest.pid, there=True)
    await asyncio.to_thread(running.stop)
    _, said = await asyncio.to_thread(guest.communicate)
    assert guest.returncode == 0
    assert b"the server has hung up" in said


@pytest.mark.timeout(180)
async def test_a_server_that_adapts_plans_with_who_joins(world: World, tmp_path: Path) -> None:
    """More comes than the machine bears, and a worker that joins gets its share of that."""
    file = tmp_path / "here.py"
    file.write_text(world.file.read_text().replace('"ms": 1.0', '"ms": 50.0'))
    (tmp_path / "greeting.txt").write_text("hello")
    variants = await asyncio.to_thread(lambda: Workflow(str(file), tmp_path / "store").variants.variants)
    there = msgspec.structs.replace(world, file=file, variant=variants[0])
    options = ["--rate", "10", "--adapt", "--every", "2", "--budget", "3", "--store", str(tmp_path / "store")]
    with server(there, tmp_path, options) as running, running.start() as guest:
        await running.wait_for(guest.pid, there=True, at_once=60)
        guest.terminate()

"""The router with real workers: faults, restarts, and its journal."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest

from heterosis.scheduling import SetTimer, StartInstance, TimerFired, validate
from heterosis.scheduling.policies import POLICIES
from heterosis.serving.journal import Journal, read_journal
from heterosis.serving.messages import Hello
from heterosis.serving.transport.framing import frame
from heterosis.simulation import replay
from heterosis.terms.errors import DeadlineError, RefusedError, StageError, UnavailableError
from tests.serving.conftest import Serve, Server, toy_plan

VALUES = np.ones(1000, np.float32)


async def ask(server: Server, factor: int = 2, nap_ms: int = 5, timeout_ms: float | None = None) -> object:
    """Send one request past the gateway."""
    return await server.model.infer({"values": VALUES, "factor": factor, "nap_ms": nap_ms}, timeout_ms=timeout_ms)


async def test_killing_workers_under_load_loses_no_request(serving: Serve) -> None:
    """Workers die by SIGKILL again and again; every request is answered, and the dead are replaced."""
    async with serving() as server:
        requests = [asyncio.create_task(ask(server, nap_ms=10, timeout_ms=30_000)) for _ in range(150)]
        for _ in range(4):
            await asyncio.sleep(0.15)
            for pid in list(server.launcher.pids().values())[:2]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        await server.router.wait_ready()
        validate(server.router.scheduler)
    poisoned = [answer for answer in answers if isinstance(answer, StageError)]
    assert len(poisoned) <= 2  # a call that saw three workers die counts as the cause
    assert sum(answer == [4.0] * 1000 for answer in answers) == len(answers) - len(poisoned)
    restarts = [
        effect.reason
        for record in server.records
        for effect in record.effects
        if isinstance(effect, StartInstance) and "SIGKILL" in effect.reason
    ]
    assert restarts


@pytest.mark.parametrize("policy", POLICIES)
async def test_every_policy_serves_live(serving: Serve, policy: str) -> None:
    """The policies of the simulator answer real requests on real workers, and their journals replay."""
    async with serving(toy_plan(policy=policy)) as server:
        # A deadline so far off that no policy drops a call because the machine is busy.
        answers = await asyncio.gather(*(ask(server, nap_ms=2, timeout_ms=300_000) for _ in range(20)))
        validate(server.router.scheduler)
    assert answers == [[4.0] * 1000] * 20
    assert replay(server.records) is None


async def test_a_timer_that_goes_off_early_is_set_again(serving: Serve) -> None:
    """Event loops may call a little early; the scheduler hears of a timer once, and not before its time."""
    async with serving() as server:
        timer = SetTimer(at=time.monotonic() + 0.05, key="wake", reason="")
        server.router._fire(timer)  # noqa: SLF001 - as a loop does that rounds down
        await asyncio.sleep(0.1)
    fired = [record.at for record in server.records if record.event == TimerFired(key="wake")]
    assert len(fired) == 1
    assert fired[0] >= timer.at


async def test_a_live_journal_replays_to_the_same_effects(serving: Serve, tmp_path: Path) -> None:
    """What the core did live, with deadlines, failures and a death, it does again from the journal on disk."""
    async with serving() as server:
        work = [ask(server, factor=13 if number % 7 == 0 else 2, nap_ms=number) for number in range(30)]
        hasty = [ask(server, nap_ms=100, timeout_ms=20 + number) for number in range(10)]
        pending = asyncio.gather(*work, *hasty, return_exceptions=True)
        await asyncio.sleep(0.1)
        os.kill(next(iter(server.launcher.pids().values())), signal.SIGKILL)
        answers = await pending
        assert {type(answer) for answer in answers} <= {list, StageError, DeadlineError, RefusedError}
    file = tmp_path / "journal"
    with contextlib.closing(Journal(file)) as journal:
        for record in server.records:
            journal.write(record)
    records = list(read_journal(file))
    assert records == server.records
    assert replay(records) is None


async def test_a_replay_that_differs_is_shown(serving: Serve) -> None:
    """The replay test can fail: a journal with another effect in it diverges at that step."""
    async with serving() as server:
        await ask(server)
    step = next(step for step, record in enumerate(server.records) if record.effects and step > 0)
    forged = list(server.records)
    forged[step] = msgspec.structs.replace(forged[step], effects=())
    divergence = replay(forged)
    assert divergence is not None
    assert divergence.step == step


async def test_a_worker_without_the_token_is_turned_away(serving: Serve) -> None:
    """A stranger that takes an instance's name is told nothing and runs nothing."""
    async with serving(wait=False) as server:
        path = urlsplit(server.router.workers.hub.address).path
        reader, writer = await asyncio.open_unix_connection(path)
        hello = msgspec.msgpack.encode(Hello(instance="toy/scale-0", token="guess", pid=1))  # noqa: S106
        writer.writelines(frame([hello], [None]))
        await server.model.available()
        answers = await asyncio.gather(*(ask(server) for _ in range(5)))
        assert answers == [[4.0] * 1000] * 5
        writer.write(b"no message at all")
        assert await reader.read() == b""  # told nothing, and hung up on
        writer.close()


async def test_an_instance_that_cannot_load_is_said_so(serving: Serve) -> None:
    """Waiting for readiness ends with the worker's own reason."""
    plan = toy_plan(variants=None)
    async with serving(plan, wait=False) as server:
        with pytest.raises(UnavailableError, match="cannot load"):
            await server.model.available()


async def test_arguments_that_cannot_travel_are_named(serving: Serve) -> None:
    """Arguments that no process can be sent raise where they are given, naming the stage."""
    async with serving() as server:
        with pytest.raises(StageError, match="stage 'scale' cannot be called: cannot send"):
            await server.model.infer({"values": object(), "factor": 1, "nap_ms": 0})

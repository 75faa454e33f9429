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

from heterosis.pipeline import FUNCTION
from heterosis.scheduling import CallReady, RunBatch, SetTimer, SkipCalls, StartInstance, TimerFired, validate
from heterosis.scheduling.policies import POLICIES
from heterosis.serving import watchdog
from heterosis.serving.journal import Journal, read_journal
from heterosis.serving.messages import Hello
from heterosis.serving.transport.framing import frame
from heterosis.simulation import replay
from heterosis.terms.errors import DeadlineError, RefusedError, StageError, StalePlanError, UnavailableError, UsageError
from heterosis.testing import make_plan, make_variant
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


async def test_calls_of_a_gather_go_in_one_batch(serving: Serve) -> None:
    """Though each is a task that reaches the router by itself."""
    async with serving(toy_plan(slots=1)) as server:
        assert await ask(server) == [4.0] * 1000
    sizes = [len(each.calls) for record in server.records for each in record.effects if isinstance(each, RunBatch)]
    assert sizes == [2, 1]
    more = [record.event.more for record in server.records if isinstance(record.event, CallReady)]
    assert more == [True, False, False]


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
        writer.writelines(frame([hello]))
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


async def test_clients_that_go_away_free_their_calls_and_harm_nobody(serving: Serve) -> None:
    """Calls that wait are dropped, those in a batch that has not begun are left out of it; the rest are answered."""
    naps = {"scale": 1.0, "nap": 4.0}  # short enough, so the plan thinks, for a batch to be held in advance
    variants = {stage: make_variant(stage, model=FUNCTION, engine=FUNCTION) for stage in naps}
    plan = make_plan(naps, slots=1, max_batch=8, slo_ms=5000, variants=variants)
    plan = msgspec.structs.replace(
        plan,
        placements=tuple(msgspec.structs.replace(each, slots=(place,)) for place, each in enumerate(plan.placements)),
        policy="fcfs",
    )
    async with serving(plan) as server:
        first = asyncio.create_task(ask(server, nap_ms=300, timeout_ms=20_000))
        await asyncio.sleep(0.1)
        leaving = [asyncio.create_task(ask(server, nap_ms=400, timeout_ms=20_000)) for _ in range(10)]
        staying = [asyncio.create_task(ask(server, nap_ms=1, timeout_ms=20_000)) for _ in range(10)]
        await asyncio.sleep(0.1)
        for task in leaving:
            task.cancel()
        began = time.monotonic()
        answers = await asyncio.gather(first, *staying)
        took_s = time.monotonic() - began
        validate(server.router.scheduler)
        outcomes = dict(server.model.statistics.outcomes)
        assert not server.router.scheduler.requests
        assert await ask(server) == [4.0] * 1000
    assert answers == [[4.0] * 1000] * 11
    assert outcomes["cancelled"] == 10
    assert took_s < 2.0  # ten naps of 400 ms were not slept
    assert any(isinstance(effect, SkipCalls) for record in server.records for effect in record.effects)
    assert replay(server.records) is None


async def test_a_timeout_fires_while_its_batch_runs(serving: Serve) -> None:
    """The client hears in time (Triton honours a timeout only while a request is queued), and the next is served."""
    async with serving(toy_plan(policy="fcfs")) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="no answer within"):
            await ask(server, nap_ms=1000, timeout_ms=150)
        assert time.monotonic() - began < 0.7
        answers = await asyncio.gather(*(ask(server, nap_ms=1, timeout_ms=20_000) for _ in range(10)))
        assert answers == [[4.0] * 1000] * 10
        assert dict(server.model.statistics.outcomes) == {"failed": 1, "answered": 10}


async def test_a_batch_is_kept_open_for_the_time_that_the_plan_says(serving: Serve) -> None:
    """No longer where it does not fill, and not at all once it is full (MLServer's users report otherwise)."""
    plan = toy_plan(slots=1, max_batch=4)
    stages = tuple(
        msgspec.structs.replace(each, batch=4, fill_ms=200.0 if each.stage == "nap" else 0.0) for each in plan.stages
    )
    async with serving(msgspec.structs.replace(plan, stages=stages)) as server:

        async def took_ms(number: int) -> float:
            began = time.monotonic()
            await asyncio.gather(*(ask(server, nap_ms=0, timeout_ms=20_000) for _ in range(number)))
            return (time.monotonic() - began) * 1e3

        await took_ms(4)
        assert 200 <= await took_ms(1) < 400
        assert await took_ms(4) < 190


async def test_a_change_of_plan_is_made_before_it_breaks_and_loses_nothing(serving: Serve) -> None:
    """Scaling up and down under load, again and again: never without a ready instance, every request answered."""
    async with serving(toy_plan()) as server:
        whole = server.router.plan
        half = msgspec.structs.replace(whole, placements=tuple(p for p in whole.placements if p.slots == (0,)))
        running = True

        async def client() -> int:
            answered = 0
            while running:
                assert await ask(server, nap_ms=3, timeout_ms=30_000) == [4.0] * 1000
                answered += 1
                assert all(server.router.alive[stage] for stage in ("toy/scale", "toy/nap"))
            return answered

        clients = [asyncio.create_task(client()) for _ in range(6)]
        for _ in range(2):
            await server.router.change_plan(half)
            assert len(server.router.plan.placements) == 2
            await server.router.change_plan(whole)
        running = False
        assert sum(await asyncio.gather(*clients)) > 20
        validate(server.router.scheduler)
    assert replay(server.records) is None


async def test_a_plan_that_fits_no_more_is_turned_down(serving: Serve) -> None:
    """One made from a plan that is not in force any more, or for other stages than those that are hosted."""
    async with serving() as server:
        before = server.router.plan
        await server.router.change_plan(msgspec.structs.replace(before, rate_rps=11.0))
        with pytest.raises(StalePlanError, match="has changed meanwhile"):
            await server.router.change_plan(before, since=before)
        with pytest.raises(UsageError, match="plan it anew"):
            await server.router.change_plan(msgspec.structs.replace(before, placements=before.placements[:1]))
        assert await ask(server) == [4.0] * 1000


async def test_a_plan_whose_instances_cannot_load_leaves_the_old_one_in_force(serving: Serve) -> None:
    """And what ran runs on."""
    async with serving() as server:
        before = server.router.plan
        bad = msgspec.structs.replace(before.stages[0], variant=make_variant(before.stages[0].stage, engine="abacus"))
        configuration = msgspec.structs.replace(before.placements[-1].configuration, variant=bad.variant.name)
        more = msgspec.structs.replace(before.placements[-1], instance="toy/new", configuration=configuration)
        after = msgspec.structs.replace(before, stages=(bad, *before.stages[1:]), placements=(*before.placements, more))
        with pytest.raises(UnavailableError, match="toy/new cannot load"):
            await server.router.change_plan(after)
        assert server.router.plan is before
        assert await ask(server) == [4.0] * 1000


async def test_a_worker_that_hangs_is_ended_and_its_calls_run_elsewhere(
    serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is alive, and says nothing any more: stopped like this, or stuck in a driver."""
    monkeypatch.setattr(watchdog, "PERIOD_S", 0.5)
    async with serving(toy_plan(slots=1)) as server:
        server.router.patience_s = 1.0
        stuck = server.launcher.pids()["toy/nap-0"]
        os.kill(stuck, signal.SIGSTOP)
        began = time.monotonic()
        assert await ask(server, timeout_ms=60_000) == [4.0] * 1000
        assert time.monotonic() - began < 30
        assert server.launcher.pids()["toy/nap-0"] != stuck
        validate(server.router.scheduler)
    assert replay(server.records) is None


async def test_an_instance_that_cannot_be_started_is_said_so(serving: Serve) -> None:
    """A slot that this machine does not have is told in the end, not waited for without one."""
    plan = toy_plan(slots=1)
    placements = (*plan.placements[:-1], msgspec.structs.replace(plan.placements[-1], slots=(999,)))
    async with serving(msgspec.structs.replace(plan, placements=placements), wait=False) as server:
        with pytest.raises(UnavailableError, match="ended 3 times before it was ready"):
            await server.model.available()

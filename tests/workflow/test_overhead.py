"""What the server itself costs a request, as it is measured."""

from pathlib import Path
from typing import cast

import msgspec
import pytest

from heterosis.pipeline import load_pipeline
from heterosis.profiling import Settings
from heterosis.scheduling import BatchDone, CallReady, Event, Record, RequestArrived, RequestEnded, RunBatch
from heterosis.terms import Call, Device, DeviceType, Overhead, Plan, PowerMode, Quality, Request
from heterosis.terms.joining import bare_name, qualified
from heterosis.testing import make_plan
from heterosis.workflow.chain import Workflow
from heterosis.workflow.overhead import _path, at_once, known_overhead, overhead, stretch
from heterosis.workflow.served import as_profiled

CPU = Device(
    name="cpu",
    type=DeviceType(
        name="cpu",
        kind="cpu",
        power_modes=(PowerMode(name="default", idle_power_w=5.0, active_power_w=25.0),),
        quality=Quality.MODELLED,
    ),
    slots=2,
)
PIPELINE = """
import time
import heterosis as hs

class Wait:
    def run(self, item):
        time.sleep(0.02)
        return item

wait = hs.stage(Wait)

@hs.pipeline(slo=hs.Slo(latency_ms=2000))
async def slow(item: int) -> int:
    begin = time.thread_time()
    while time.thread_time() < begin + 0.03:  # what the pipeline function itself does is the server's work
        pass
    return await wait(item)

@slow.samples
def samples():
    return [hs.Sample({"item": item}) for item in range(3)]
"""


def records(*events: tuple[float, Event]) -> list[Record]:
    """A journal."""
    return [Record(at=at, event=event, effects=()) for at, event in events]


def sent(batch: int, instance: str) -> tuple[RunBatch, ...]:
    """What is done about a call."""
    return (RunBatch(batch=batch, instance=instance, calls=("c",), reason=""),)


READY = CallReady(call=Call(id="c", request="r", stage="s"))


def arrived(number: int) -> RequestArrived:
    """A request."""
    return RequestArrived(request=Request(id=f"r{number}", pipeline="p", arrival=0.0, deadline=9.0))


def test_time_in_which_a_batch_ran_is_not_the_servers() -> None:
    """Batches that ran side by side count once; what the client saw beyond that is overhead. Old requests are not."""
    journal = records(
        (0.0, arrived(0)),
        (0.5, BatchDone(batch=0, run_ms=400.0)),
        (0.5, RequestEnded(request="r0", outcome="answered")),
        (1.0, arrived(1)),
        (1.10, BatchDone(batch=1, run_ms=80.0)),
        (1.12, BatchDone(batch=2, run_ms=100.0)),
        (1.20, BatchDone(batch=3, run_ms=50.0)),
        (1.21, RequestEnded(request="r1", outcome="answered")),
    )
    found = overhead(CPU, [180.0], 0.02, journal)
    assert found.wall_ms == pytest.approx(180.0 - 100.0 - 50.0)
    assert found.cpu_ms == pytest.approx(20.0)
    assert found.cores == 2
    assert found.requests == 1
    assert found.energy.joules == pytest.approx(0.02 * 10.0)
    assert found.slot_ms == pytest.approx(10.0)


def test_a_request_that_came_with_its_only_call_ends_with_its_batch() -> None:
    """So the journal has no line for that."""
    call = Call(id="c", request="r0", stage="s")
    journal = [
        Record(at=1.0, event=msgspec.structs.replace(arrived(0), call=call), effects=sent(1, "a")),
        Record(at=1.052, event=BatchDone(batch=1, run_ms=50.0), effects=()),
    ]
    assert overhead(CPU, [60.0], 0.02, journal).wall_ms == pytest.approx(60.0 - 50.0)


def test_a_batchs_way_is_part_of_it_and_told_apart() -> None:
    """It is what an idle instance's batch takes beyond its run; one that is held back there says nothing of the way."""
    journal = [
        Record(at=1.00, event=arrived(0), effects=()),
        Record(at=1.00, event=READY, effects=sent(1, "a")),
        Record(at=1.01, event=READY, effects=sent(2, "a")),
        Record(at=1.052, event=BatchDone(batch=1, run_ms=50.0), effects=()),
        Record(at=1.102, event=BatchDone(batch=2, run_ms=50.0), effects=sent(3, "b")),
        Record(at=1.106, event=BatchDone(batch=3, run_ms=2.0), effects=()),
        Record(at=1.11, event=RequestEnded(request="r0", outcome="answered"), effects=()),
    ]
    found = overhead(CPU, [120.0], 0.02, journal)
    assert found.wall_ms == pytest.approx(120.0 - 102.0)
    assert found.hop_ms == pytest.approx(2.0)
    assert found.away_ms == pytest.approx(2.0 + 2.0)
    assert found.front_ms == pytest.approx(14.0)


def test_batches_are_held_against_what_was_profiled() -> None:
    """Of each sample the sum of its batches; a stage that a sample does not call has the mean there."""
    plan = make_plan({"one": 10.0, "two": 4.0})
    hosted = qualified(plan, plan.pipeline)
    instances = {bare_name(each.configuration.stage): each.instance for each in hosted.placements}

    def ran(batch: int, stage: str, run_ms: float) -> list[Record]:
        run = RunBatch(batch=batch, instance=instances[stage], calls=("c",), reason="")
        return [
            Record(at=0.0, event=CallReady(call=Call(id="c", request="r", stage=stage)), effects=(run,)),
            Record(at=0.1, event=BatchDone(batch=batch, run_ms=run_ms), effects=()),
        ]

    def request(number: int, *batches: list[Record]) -> list[Record]:
        ended = RequestEnded(request=f"r{number}", outcome="answered")
        return [
            *records((0.0, arrived(number))),
            *(each for batch in batches for each in batch),
            *records((0.2, ended)),
        ]

    means = {each.configuration.stage: each.latency.mean_ms for each in plan.points if each.batch == 1}
    journal = [
        *request(0, ran(0, "one", 99.0)),  # before those that count
        *request(1, ran(1, "one", 2 * means["one"]), ran(2, "two", means["two"]), ran(3, "two", 3 * means["two"])),
        *request(2, ran(4, "one", 1 * means["one"])),
        *request(3, ran(5, "one", 4 * means["one"]), ran(6, "two", 2 * means["two"])),
    ]
    found = stretch(plan, journal, requests=3, samples=2)
    assert found["one"] == pytest.approx((3.0, 1.0))
    assert found["two"] == pytest.approx((2.0, 2.0))


def test_no_batch_is_kept_open_while_the_server_is_measured() -> None:
    """The wait would count as the server's; nothing else changes."""
    plan = make_plan({"one": 10.0})
    (stage,) = plan.stages
    patient = msgspec.structs.replace(plan, stages=(msgspec.structs.replace(stage, fill_ms=80.0),))
    assert at_once(patient) == plan


def test_a_plan_counts_what_was_measured_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's own 30 ms a request are seen in its CPU time, and kept in the store; no budget, no measurement.

    A loop that begins with larger batches has that measured on them.
    """
    file = tmp_path / "slow.py"
    file.write_text(PIPELINE)
    target, store = f"{file}:slow", tmp_path / "store"
    unmeasured = Workflow(target, store, settings=Settings(budget_s=5.0))
    assert not unmeasured.plan(1.0).overhead.requests
    workflow = Workflow(target, store, settings=Settings(budget_s=60.0))
    plan = workflow.plan(1.0)
    assert plan.overhead.requests >= 20
    assert 25.0 < plan.overhead.cpu_ms < 90.0
    assert plan.overhead.wall_ms > 25.0
    assert len(plan.overhead.stretch["wait"]) == 3
    assert 0.5 < min(plan.overhead.stretch["wait"]) < 2.0
    served = as_profiled(plan, workflow.profile([1.0]))
    assert known_overhead(workflow.pipeline, store, served) == plan.overhead

    asked: list[Plan] = []

    def measured(*arguments: object) -> Overhead:
        asked.append(cast(Plan, arguments[-1]))
        return msgspec.structs.replace(plan.overhead, wall_ms=77.0)

    monkeypatch.setattr("heterosis.workflow.chain.measure", measured)
    larger = tuple(msgspec.structs.replace(each, max_batch=each.max_batch + 1) for each in plan.placements)
    begun = msgspec.structs.replace(plan, placements=larger)
    workload, _ = workflow.workload(1.0, lambda *_: begun)
    assert workflow.overhead(workload.profile).wall_ms == 77.0
    assert [each.points for each in asked] == [served.points]


def test_what_was_measured_is_of_what_ran_and_of_what_it_was_held_against(tmp_path: Path) -> None:
    """Another variant, larger batches, or another profile: then it is to be measured anew. More of the same is not."""
    file = tmp_path / "slow.py"
    file.write_text(PIPELINE)
    pipeline = load_pipeline(str(file))
    plan = make_plan({"wait": 20.0}, slots=2, max_batch=2)
    known = Overhead(wall_ms=1.0, requests=20)
    path = _path(pipeline, tmp_path, plan)
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(known))
    assert known_overhead(pipeline, tmp_path, plan) == known
    assert known_overhead(pipeline, tmp_path, make_plan({"wait": 20.0}, slots=1, max_batch=2)) == known
    assert known_overhead(pipeline, tmp_path, make_plan({"wait": 20.0}, slots=2, max_batch=4)) is None
    assert known_overhead(pipeline, tmp_path, make_plan({"wait": 21.0}, slots=2, max_batch=2)) is None

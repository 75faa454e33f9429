"""`heterosis story` and `heterosis replay` on a journal."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.scheduling import Effect, Event, PlanChanged, Record
from heterosis.serving.journal import Journal
from heterosis.testing import Driver, make_plan

Command = Callable[..., Any]


class Recorder(Driver):
    """A driver that writes down what it did."""

    def __init__(self) -> None:
        """Drive a plan of one stage."""
        self.records: list[Record] = []
        super().__init__(make_plan({"a": 10.0}))

    def __call__(self, event: Event, after: float = 0.0) -> list[Effect]:
        """Handle an event, and write it down."""
        effects = super().__call__(event, after)
        self.records.append(Record(at=self.now, event=event, effects=tuple(effects)))
        return effects


@pytest.fixture
def records() -> list[Record]:
    """A short run."""
    driver = Recorder()
    driver.ask("r1")
    driver.ask("r2", after=0.001)
    driver.done("a-0", after=0.01)
    assert isinstance(driver.records[0].event, PlanChanged)
    return driver.records


def write(path: Path, records: list[Record]) -> Path:
    """Write a journal."""
    with contextlib.closing(Journal(path)) as journal:
        for record in records:
            journal.write(record)
    return path


def test_story_of_the_plans(records: list[Record], tmp_path: Path, heterosis: Command) -> None:
    """Without a request: what came, what went, and why."""
    event = records[0].event
    assert isinstance(event, PlanChanged)
    told = [msgspec.structs.replace(records[0], event=msgspec.structs.replace(event, reason="a crowd came"))]
    done = heterosis("story", "--journal", write(tmp_path / "journal", [*told, *records[1:]]))
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.endswith("2 begin, 0 end at once: a crowd came")


def test_story_of_a_request(records: list[Record], tmp_path: Path, heterosis: Command) -> None:
    """Every step of one request, and no other's."""
    journal = write(tmp_path / "journal", records)
    done = heterosis("story", "r1", "--journal", journal)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["RequestArrived:", "CallReady:", "RunBatch:", "BatchDone:"]
    assert "r2" not in done.stdout
    assert len(msgspec.json.decode(heterosis("story", "r1", "--journal", journal, "--json").stdout)["steps"]) == 4


def test_story_of_a_request_that_came_with_its_call(tmp_path: Path, heterosis: Command) -> None:
    """The call stands in the line of its arrival."""
    driver = Recorder()
    driver.ask_at_once("r1")
    driver.done("a-0", after=0.01)
    lines = heterosis("story", "r1", "--journal", write(tmp_path / "journal", driver.records)).stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["RequestArrived:", "RunBatch:", "BatchDone:"]
    assert "id='r1/0'" in lines[0]


def test_story_of_nobody(records: list[Record], tmp_path: Path, heterosis: Command) -> None:
    """A request that never was is no empty story."""
    done = heterosis("story", "r9", "--journal", write(tmp_path / "journal", records))
    assert done.returncode == 2
    assert "no request 'r9'" in done.stderr


def test_replay_of_what_was_recorded(records: list[Record], tmp_path: Path, heterosis: Command) -> None:
    """The same events give the same effects."""
    done = heterosis("replay", write(tmp_path / "journal", records))
    assert done.returncode == 0
    assert f"{len(records)} events, the same effects" in done.stdout


def test_replay_shows_the_first_difference(records: list[Record], tmp_path: Path, heterosis: Command) -> None:
    """A journal that was tampered with fails, with the place."""
    step = next(step for step, record in enumerate(records) if record.effects and step > 0)
    records[step] = msgspec.structs.replace(records[step], effects=())
    done = heterosis("replay", write(tmp_path / "journal", records), "--json")
    assert done.returncode == 1
    assert f"differ at step {step}" in done.stderr
    found = msgspec.json.decode(done.stdout)
    assert (found["same"], found["first_difference"]["step"]) == (False, step)

"""`heterosis study`: options, table, files; the studies themselves are tested on their own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.studies.study import Options, Step, open_study

Command = Callable[..., Any]


class Part(msgspec.Struct):
    """A part of a row."""

    violations: float


class Row(msgspec.Struct):
    """A row of every kind of value."""

    policy: str
    pool: tuple[int, ...]
    qps: float
    low: float | None
    at_load: Part | None
    classes: dict[str, float]


class Toy:
    """A study that notes what it was asked to do."""

    asked: Options | None = None

    def run(self, options: Options, step: Step) -> list[Row]:
        """Make a row for each policy."""
        self.asked = options
        step("one", done=1, total=1)
        return [Row(policy, (1, 0), 123.456, None, Part(0.01234), {"a": 1.0}) for policy in ("fcfs", "kairos")]

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        """Draw a file."""
        path = folder / "toy.png"
        path.write_text(str(len(rows)))
        return [path]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The study that the command opens, whatever its name."""
    toy = Toy()
    monkeypatch.setattr("heterosis.cli.study.open_study", lambda _name: toy)
    return toy


def test_a_study_prints_a_table_and_writes_json_and_figures(toy: Toy, tmp_path: Path, heterosis: Command) -> None:
    """The folders are made; what has a structure of its own is in the JSON alone."""
    path, folder = tmp_path / "new" / "kairos.json", tmp_path / "figures"
    done = heterosis("study", "kairos", "--json", path, "--figures", folder, "--policies", "fcfs, drs:200")
    assert done.returncode == 0
    head, first, _ = done.stdout.splitlines()
    assert head.split() == ["policy", "pool", "qps", "low", "at", "load:", "violations"]
    assert first.split() == ["fcfs", "1,0", "123.5", "unknown", "0.01234"]
    found = msgspec.json.decode(path.read_bytes())
    assert found["study"] == "kairos"
    assert found["rows"][1]["policy"] == "kairos"
    assert found["rows"][1]["classes"] == {"a": 1.0}
    assert (folder / "toy.png").read_text() == "2"
    assert toy.asked == Options(policies=("fcfs", "drs:200"))


def test_options_reach_the_study(toy: Toy, tmp_path: Path, heterosis: Command) -> None:
    """Seeds, processes and the folder of data."""
    assert heterosis("study", "slo-mael", "--seeds", 3, "--jobs", 2, "--data", tmp_path).returncode == 0
    assert toy.asked == Options(seeds=3, jobs=2, data=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kairo"], "kairo"),
        (["kairos", "--policies", "fcfs,nobody"], "no policy 'nobody'"),
        (["kairos", "--policies", ","], "--policies names none"),
        (["kairos", "--seeds", "0"], "--seeds is at least 1, got 0"),
        (["kairos", "--jobs", "-1"], "--jobs is at least 0, got -1"),
        (["kairos", "--data", "/nowhere", "--policies", "fcfs"], "there is no /nowhere/kairos"),
        (["kairos", "--json", "/dev/null/x/kairos.json"], "cannot write into /dev/null/x"),
    ],
)
def test_what_is_asked_for_wrongly_is_said_before_anything_runs(
    arguments: list[str], said: str, heterosis: Command
) -> None:
    """With exit code 2."""
    done = heterosis("study", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_interrupted_study_says_that_nothing_is_kept(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, heterosis: Command
) -> None:
    """With exit code 130."""

    def interrupt(_options: Options, _step: Step) -> list[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(toy, "run", interrupt)
    done = heterosis("study", "kairos")
    assert done.returncode == 130
    assert "nothing is kept" in done.stderr


def test_every_study_can_be_opened() -> None:
    """By the name that the command line knows it by."""
    for name in ("kairos", "slo-mael", "synergai"):
        study = open_study(name)
        assert callable(study.run)
        assert callable(study.draw)

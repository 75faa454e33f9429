"""`heterosis profile` and what is under it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.terms import Profile

Command = Callable[..., Any]


@pytest.fixture(scope="session")
def measured(pipeline_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of the small pipeline, written down once."""
    from heterosis.profiling import Settings
    from heterosis.workflow.chain import Workflow

    folder = tmp_path_factory.mktemp("measured")
    workflow = Workflow(str(pipeline_file), folder / "store", settings=Settings(batches=(1, 2, 4)))
    path = folder / "profile.json"
    path.write_bytes(msgspec.json.encode(workflow.profile(full=True)))
    return path


def test_a_profile_is_planned_with_instead_of_measuring(
    measured: Path, pipeline_file: Path, heterosis: Command
) -> None:
    """With --profile nothing is measured; a plan comes out, and nothing is remarked on."""
    store = measured.parent / "store"
    done = heterosis("plan", pipeline_file, "--store", store, "--profile", measured, "--rate", 3)
    assert done.returncode == 0
    assert "letters at 3/s" in done.stdout
    assert "stale" not in done.stderr


def test_stale_figures_are_named(measured: Path, pipeline_file: Path, heterosis: Command, tmp_path: Path) -> None:
    """A profile of another CPU, or of other libraries, is used, and the reason why it is stale is said."""
    found = msgspec.json.decode(measured.read_bytes(), type=Profile)
    (origin,) = found.origins
    old = msgspec.structs.replace(origin, machine="Old CPU, 1 core", versions={**origin.versions, "numpy": "1.0"})
    stale = tmp_path / "stale.json"
    stale.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, origins=(old,))))
    store = measured.parent / "store"
    done = heterosis("plan", pipeline_file, "--store", store, "--profile", stale, "--rate", 3)
    assert done.returncode == 0
    assert "stale: they are of Old CPU, 1 core, and this is" in done.stderr
    assert "numpy was 1.0, and is" in done.stderr


def test_predictions_are_checked(measured: Path, pipeline_file: Path, heterosis: Command) -> None:
    """With --check, points are left out and predicted from the others; the table says how far off that was."""
    store = measured.parent / "store"
    done = heterosis("profile", pipeline_file, "--store", store, "--full", "--batches", "1,2,4", "--check")
    assert done.returncode == 0
    assert "batch sizes" in done.stdout
    assert "p95 off by" in done.stdout


def test_profiles_are_merged_and_imported(measured: Path, heterosis: Command, tmp_path: Path) -> None:
    """A published table becomes a profile, and one with what was measured here."""
    table = tmp_path / "table.csv"
    table.write_text("what,box,ms\nfunction/function-any,board,7\n")
    published, both = tmp_path / "published.json", tmp_path / "both.json"
    options = ["--column", "variant=what", "--column", "device_type=box", "--column", "mean_ms=ms"]
    done = heterosis(
        "profile",
        "import",
        table,
        "--pipeline",
        "letters",
        "--source",
        "a paper",
        "--value",
        "stage=count",
        *options,
        "-o",
        published,
    )
    assert done.returncode == 0, done.stderr
    assert heterosis("profile", "merge", measured, published, "-o", both).returncode == 0
    merged = msgspec.json.decode(both.read_bytes(), type=Profile)
    here = msgspec.json.decode(measured.read_bytes(), type=Profile)
    assert len(merged.points) == len(here.points) + 1
    assert {origin.source for origin in merged.origins} == {"", "a paper"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{file}", "--rate", "-1"], "--rate must be a positive number"),
        (["{file}", "--threads", "two"], "--threads takes whole numbers"),
        (["{file}", "--batches", "0,1"], "--batches: 0 is too few"),
        (["{file}", "--most-waiting", "3"], "--most-waiting is a share between 0 and 1"),
        (["merge"], "say which profiles to merge"),
        (["merge", "/nowhere.json"], "cannot read the profile"),
        (["import", "/nowhere.csv", "--pipeline", "p", "--source", "s"], "cannot read the table"),
        (["import", "x.csv", "--pipeline", "p", "--source", "s", "--column", "batch"], "--column takes NAME=SOMETHING"),
    ],
)
def test_mistakes_are_said(arguments: list[str], message: str, pipeline_file: Path, heterosis: Command) -> None:
    """Each ends with 2, and says what was wrong."""
    done = heterosis("profile", *(argument.replace("{file}", str(pipeline_file)) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr

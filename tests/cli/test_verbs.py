"""The verbs one after the other on a small pipeline, as a user would."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.bench import Report
from heterosis.cli.check import Check
from heterosis.terms import Plan, Profile, VariantSet

Command = Callable[..., Any]


def test_check_shows_result_times_and_graph(pipeline_file: Path, heterosis: Command) -> None:
    """One sample by default, in words."""
    done = heterosis("check", pipeline_file)
    assert done.returncode == 0
    assert "letters, sample 0" in done.stdout
    assert "accuracy 1.000" in done.stdout
    assert "count x2" in done.stdout
    assert done.stderr == ""


def test_check_all_as_json(pipeline_file: Path, heterosis: Command) -> None:
    """Every sample, with the fan-out of each stage over the samples; unknown truth is unknown accuracy."""
    found = msgspec.json.decode(heterosis("check", pipeline_file, "--all", "--json").stdout, type=Check)
    assert [sample.result for sample in found.samples] == [[1, 2], [3], [1, 1, 1]]
    assert [sample.accuracy for sample in found.samples] == [1.0, 1.0, None]
    assert {stage.stage: stage.calls for stage in found.stages} == {"split": (1, 1, 1), "count": (2, 1, 3)}
    assert found.stages[0].followed_by == {"count": 2.0}
    assert found.paths == (("split", "count"),)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("return text.split()", "return [{word} for word in text.split()]", "cannot travel between its stages"),
        ("return len(word)", "return str(word)", "does not fit what it is annotated to return"),
    ],
)
def test_check_looks_at_what_is_exchanged(
    line: str, instead: str, said: str, pipeline_file: Path, tmp_path: Path, heterosis: Command
) -> None:
    """What could not travel between processes, or to a client, is found before anything is served."""
    path = tmp_path / "pipeline.py"
    path.write_text(pipeline_file.read_text().replace(line, instead))
    done = heterosis("check", path)
    assert done.returncode == 2
    assert said in done.stderr


def test_variants(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """A stage without a model has one variant: its own code."""
    found = msgspec.json.decode(
        heterosis("variants", pipeline_file, "--store", store, "--json").stdout, type=VariantSet
    )
    assert [variant.stage for variant in found.variants] == ["split", "count"]
    assert found.reference_accuracy == 1.0
    assert "function" in heterosis("variants", pipeline_file, "--store", store).stdout


def test_profile(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """Both stages are measured, and found in the store the next time."""
    first = msgspec.json.decode(
        heterosis("profile", pipeline_file, "--store", store, "--budget", 5, "--json").stdout, type=Profile
    )
    assert {point.configuration.stage for point in first.points} == {"split", "count"}
    again = msgspec.json.decode(
        heterosis("profile", pipeline_file, "--store", store, "--budget", 5, "--json").stdout, type=Profile
    )
    assert set(first.points) <= set(again.points)
    assert "items/s" in heterosis("profile", pipeline_file, "--store", store, "--budget", 5).stdout


def test_plan(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """The plan is for the rate and SLO that were asked for; explained, it has a reason for every option."""
    asked = ("plan", pipeline_file, "--store", store, "--budget", 5, "--rate", 20, "--slo", 400)
    found = msgspec.json.decode(heterosis(*asked, "--json").stdout, type=Plan)
    assert (found.rate_rps, found.slo.latency_ms, found.slo.min_accuracy) == (20, 400, 0.5)
    assert {placement.configuration.stage for placement in found.placements} == {"split", "count"}
    assert "letters at 20/s: 90 % within 400 ms, accuracy at least 0.5" in heterosis(*asked).stdout
    explained = heterosis(*asked, "--explain").stdout
    assert all(option.reason in explained for option in found.options)
    naive = msgspec.json.decode(heterosis(*asked, "--naive", "--json").stdout, type=Plan)
    assert naive.policy == "fcfs"


def test_an_impossible_plan_says_what_is_possible(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """An SLO that nothing can meet is refused with the nearest that can be met, and no JSON is written."""
    done = heterosis("plan", pipeline_file, "--store", store, "--budget", 5, "--rate", 20, "--slo", 0.001, "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "possible" in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_bench_serves_the_file_by_itself(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """Load on a pipeline file: a server comes and goes, and the answers are right."""
    done = heterosis(*("bench", pipeline_file, "--store", store, "--rate", 30, "--duration", 2, "--seed", 1, "--json"))
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.requests == report.answered > 30
    assert report.accuracy == 1.0
    assert report.judged == report.requests  # the samples without truth by what the references answer
    assert report.cpu_s_per_answer is not None
    assert report.cpu_s_per_answer > 0


def test_serve_and_bench_by_url(pipeline_file: Path, store: Path, tmp_path: Path, heterosis: Command) -> None:
    """A saved plan is served until Ctrl-C, load comes from elsewhere, and decisions are journaled."""
    plan = tmp_path / "plan.json"
    plan.write_text(heterosis("plan", pipeline_file, "--store", store, "--budget", 5, "--rate", 20, "--json").stdout)
    command = [sys.executable, "-m", "heterosis.cli", "serve", pipeline_file, "--store", store, "--plan", plan]
    command += ["--port", "0", "--grpc-port", "0", "--json", "--journal", tmp_path / "journal"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:  # noqa: S603
        assert server.stdout is not None
        ready = msgspec.json.decode(server.stdout.readline())
        assert ready["pipeline"] == "letters"
        trace = tmp_path / "trace.csv"
        trace.write_text("gap_ms\n" + "20\n" * 50)
        done = heterosis("bench", ready["url"], "--pipeline", pipeline_file, "--trace", trace, "--slo", 1000)
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    assert "50 offered, 50 answered" in done.stdout
    assert "within 1000 ms" in done.stdout
    assert (server.returncode, out) == (0, b"")
    assert b"Traceback" not in err
    assert all(msgspec.json.decode(line)["event"] for line in err.splitlines()[:-1])
    assert (tmp_path / "journal").stat().st_size > 1000


def test_a_plan_of_another_pipeline_is_refused(
    pipeline_file: Path, store: Path, tmp_path: Path, heterosis: Command
) -> None:
    """A plan whose stages are not the file's is told apart."""
    plan = heterosis("plan", pipeline_file, "--store", store, "--budget", 5, "--rate", 20, "--json").stdout
    (tmp_path / "plan.json").write_text(plan.replace('"letters"', '"words"'))
    done = heterosis(
        "serve", pipeline_file, "--store", store, "--plan", tmp_path / "plan.json", "--port", 0, "--grpc-port", 0
    )
    assert done.returncode == 2
    assert "the plan is for pipeline 'words'" in done.stderr


@pytest.mark.parametrize("rate", [0, -3])
def test_senseless_rates(pipeline_file: Path, store: Path, heterosis: Command, rate: float) -> None:
    """A rate that is none is refused."""
    done = heterosis("plan", pipeline_file, "--store", store, "--budget", 5, f"--rate={rate}")
    assert done.returncode == 2
    assert "rate must be a positive number" in done.stderr

"""How commands end: exit codes, complaints, and what goes where."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.cli.app import VERBS, run

Command = Callable[..., Any]

ANY_PORT = ["--port", "0", "--grpc-port", "none"]
HEAVY = ("aiohttp", "highspy", "matplotlib", "onnx", "onnxruntime", "openvino", "PIL", "scipy", "starlette", "zmq")


def test_importing_the_command_line_is_cheap() -> None:
    """Help needs no heavy library, nor the event loop's: each verb imports what it needs when it runs."""
    program = f"import sys, heterosis.cli.app as app; app.make_app(); print(*(set({HEAVY}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.split() == []


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists the verbs, each verb's own help has examples."""
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    for verb in VERBS:
        assert f" {verb.__name__} " in page
        assert run([verb.__name__, "--help"]) == 0
        assert (
            f"heterosis {verb.__name__}" in capsys.readouterr().out.split("╭")[0].split("Usage:")[1].split("\n", 1)[1]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], '"fly"'),
        (["plan"], "FILE"),
        (["plan", "x.py", "--rate", "fast"], "fast"),
        (["plan", "x.py", "--speed", "3"], "--speed"),
        (["check", "/nowhere/pipeline.py"], "no pipeline file /nowhere/pipeline.py"),
        (["bench", "http://127.0.0.1:9"], "say --pipeline FILE"),
        (["bench", "{file}"], "--rate R, or --trace FILE"),
        (["bench", "{file}", "--rate", "-1"], "positive rate"),
        (["bench", "{file}", "--trace", "/nowhere.csv"], "cannot read the trace /nowhere.csv"),
        (["bench", "{file}", "--rate", "5", "--slo", "-5"], "Slo.latency_ms must be positive"),
        (["check", "{file}", "--sample", "9"], "no sample 9: pipeline 'letters' has 3"),
        (["serve", "{file}", *ANY_PORT, "--plan", "/nowhere.json"], "cannot read the plan /nowhere.json"),
        (["serve", "{file}", *ANY_PORT, "--plan", "{file}"], "is no plan"),
        (["serve", "{file}", "--port", "99999"], "cannot listen on port 99999"),
        (["serve", "{file}", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_mistakes_end_with_2(
    arguments: list[str], message: str, pipeline_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for wrongly is said in one paragraph on standard error; standard output stays empty."""
    assert run([argument.format(file=pipeline_file) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_port_in_use_is_said_at_once(pipeline_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wants to hear of it after minutes of profiling."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", str(pipeline_file), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in capsys.readouterr().err


def test_a_server_that_is_not_there_ends_with_1(pipeline_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for well and failed is an error of another kind."""
    assert run(["bench", "http://127.0.0.1:9", "--pipeline", str(pipeline_file), "--rate", "5"]) == 1
    assert "error: cannot reach http://127.0.0.1:9" in capsys.readouterr().err


def test_an_error_in_a_stage_says_where(
    pipeline_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The author of a pipeline gets the line, not our traceback."""
    broken = tmp_path / "broken.py"
    broken.write_text(pipeline_file.read_text().replace('"a bc"', '"a boom"'))
    assert run(["check", str(broken)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "error: stage 'count' failed: ValueError: this word is not to be counted" in said
    assert said.endswith("broken.py, line 19, in run)")


def test_interrupting(pipeline_file: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130 and a word on what is kept, without a traceback."""
    import signal

    slow = tmp_path / "slow.py"
    text = pipeline_file.read_text().replace(
        "        return text.split()", "        import time\n        time.sleep(60)"
    )
    heeded = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)"  # whoever runs the tests
    slow.write_text(f"{heeded}\n{text}\nprint('loaded', file=sys.stderr, flush=True)\n")
    command = [sys.executable, "-m", "heterosis.cli", "plan", str(slow), "--store", str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stderr is not None
        assert process.stderr.readline() == "loaded\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.startswith("interrupted: what was made and measured so far is kept in ")
    assert "Traceback" not in err


def test_a_reader_that_leaves_early_is_no_error(pipeline_file: Path) -> None:
    """`heterosis … | head` ends quietly."""
    command = [sys.executable, "-m", "heterosis.cli", "check", str(pipeline_file), "--all", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.wait(30)


def test_devices(heterosis: Command) -> None:
    """The fleet is listed, for people and as JSON."""
    as_json = heterosis("devices", "--json")
    fleet = msgspec.json.decode(as_json.stdout)
    (node,) = fleet["nodes"]
    assert node["devices"][0]["slots"] >= 1
    assert as_json.stderr == ""
    assert node["devices"][0]["name"] in heterosis("devices").stdout

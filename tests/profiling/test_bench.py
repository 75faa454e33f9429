"""Processes that measure one configuration."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from heterosis.devices import usable_cores
from heterosis.pipeline import FUNCTION
from heterosis.profiling.bench import Bench, ProbeError
from heterosis.profiling.inputs import save_inputs
from heterosis.terms import Variant

PIPELINE = """
import os, signal, sys, time
import heterosis as hs

class Work:
    def run(self, what):
        print("a chatty stage")
        if what == "one core":
            assert len(os.sched_getaffinity(0)) == 1, os.sched_getaffinity(0)
        if what == "crash":
            print("these are my last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            os._exit(3)
        if what == "fail":
            raise ValueError("no such thing")

work = hs.stage(Work)

@hs.pipeline(slo=hs.Slo(latency_ms=100))
async def p(what: str) -> None:
    await work(what)
"""

VARIANT = Variant(stage="work", model=FUNCTION, engine=FUNCTION, precision="", artifact="", digest="")


def bench(folder: Path, calls: Sequence[tuple[Any, ...]], variant: Variant = VARIANT) -> Bench:
    """Start a bench for the pipeline above, on one core."""
    file = folder / "pipe.py"
    file.write_text(PIPELINE)
    return Bench(str(file), variant, 1, usable_cores()[:1], save_inputs(folder, "work", calls).path)


def test_measures_pinned_and_ends(tmp_path: Path) -> None:
    """A process pinned to its core measures several batch sizes on one load, and is gone afterwards."""
    with bench(tmp_path, [("one core",)]) as running:
        first, second = running.measure(1, 0.05), running.measure(4, 0.05)
        children = psutil.Process().children()
    assert (first.batch, second.batch) == (1, 4)
    assert first.load_ms == second.load_ms > 50
    assert second.latency.p50_ms > first.latency.p50_ms > 0
    assert not any(child.is_running() for child in children)


def test_memory_is_that_of_the_process_alone(tmp_path: Path) -> None:
    """What this process has in memory does not count."""
    ballast = bytearray(b"x") * 300_000_000
    with bench(tmp_path, [("one core",)]) as running:
        memory = running.measure(1, 0.05).memory_bytes
    assert 20e6 < memory < len(ballast) * 0.8


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("crash", "was killed by SIGKILL: ….*last words"),
        ("exit", "ended with status 3"),
        ("fail", "StageError: stage 'work' failed: ValueError: no such thing"),
    ],
)
def test_failures_say_why(tmp_path: Path, what: str, complaint: str) -> None:
    """A stage that fails, and a process that dies, are told with reason and last words."""
    with pytest.raises(ProbeError, match=f"(?s){complaint}"):
        bench(tmp_path, [(what,)])


def test_a_variant_that_cannot_load_says_why(tmp_path: Path) -> None:
    """A missing model file is reported before anything is measured, and leaves no process behind."""
    absent = Variant(
        stage="work", model="m", engine="onnxruntime", precision="fp32", artifact=str(tmp_path / "no.onnx"), digest=""
    )
    with pytest.raises(ProbeError, match=r"EngineError: no model file .*no\.onnx"):
        bench(tmp_path, [("one core",)], absent)
    time.sleep(0.05)
    assert not psutil.Process().children()

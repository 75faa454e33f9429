"""Running a function in processes."""

import operator
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, silent

SLEEPERS = """
import signal
import time
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options

def step(text="", *, done=None, total=None):
    print("started", flush=True)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    starmap(time.sleep, [(60,), (60,)], Options(jobs=2), step)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_arguments(jobs: int) -> None:
    """Whoever ends first; and each call that ends is a step."""
    steps: list[dict[str, Any]] = []
    found = starmap(
        operator.pow, [(2, power) for power in range(5)], Options(jobs=jobs), lambda **given: steps.append(given)
    )
    assert found == [1, 2, 4, 8, 16]
    assert steps == [{"done": 0, "total": 5}] + [{}] * 5


def test_a_failure_in_a_process_is_raised() -> None:
    """With its own type."""
    with pytest.raises(ZeroDivisionError):
        starmap(operator.truediv, [(1, 1), (1, 0)], Options(jobs=2), silent)


@pytest.mark.parametrize("after_s", [0.005, 1])
def test_an_interruption_ends_the_processes(after_s: float) -> None:
    """Ctrl-C is answered at once, not when the longest call has run; also while processes are being started."""
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", SLEEPERS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=15)
    assert process.returncode not in {0, None}
    assert "KeyboardInterrupt" in said

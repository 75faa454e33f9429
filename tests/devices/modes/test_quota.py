"""The quota of a control group, for real, where this machine lets us."""

import subprocess
import sys

import pytest

TRY = """
import sys, time
from pathlib import Path
from heterosis.devices.modes.registry import open_modes
from heterosis.terms.errors import HardwareError

def slowdown():
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.25: pass
    return (time.perf_counter() - wall) / (time.process_time() - cpu)

modes, remarks = open_modes(["cpu"], folder=Path(sys.argv[1]))
free = slowdown()
try:
    with modes:
        modes.set_now("cpu", "0.25cpus")
        child = __import__("subprocess").run(
            [sys.executable, "-c", "print(open('/proc/self/cgroup').read())"], capture_output=True, text=True
        ).stdout
        print(free, slowdown(), child == open("/proc/self/cgroup").read() + "\\n")
except HardwareError as error:
    print("refused:", error)
else:
    print(slowdown(), "heterosis-" in open("/proc/self/cgroup").read())
"""


def test_a_quarter_of_a_core_is_four_times_as_slow(tmp_path: object) -> None:
    """Measured as wall time over CPU time, in a process of its own; children share the quota; it is lifted again."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", TRY, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    if done.stdout.startswith("refused"):
        pytest.skip(done.stdout.strip())
    first, second = (line.split() for line in done.stdout.splitlines())
    free, limited, shared = float(first[0]), float(first[1]), first[2]
    after, left = float(second[0]), second[1]
    assert shared == "True"
    assert left == "False"
    assert 3.2 < limited < 6  # a busy machine makes it slower still
    assert limited > 1.8 * max(free, after)

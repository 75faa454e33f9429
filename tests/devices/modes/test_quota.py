"""The quota of a control group, for real, where this machine lets us."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRY = """
import json, subprocess, sys, time
from pathlib import Path
from heterosis.devices.modes.quota import CpuQuota
from heterosis.devices.modes.registry import open_modes
from heterosis.terms.errors import HardwareError

def slowdown():
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < 0.25: pass
    return (time.perf_counter() - wall) / (time.process_time() - cpu)

def groups(who):
    return Path(f"/proc/{who}/cgroup").read_text()

def throttled():
    found = [group / "cpu.stat" for group in Path("/sys/fs/cgroup").glob("cpu*/**/heterosis-*")]
    stat = (found or [Path(CpuQuota().read()["group"]) / "cpu.stat"])[0]
    return int(stat.read_text().split("nr_throttled ")[1].split()[0])

modes = open_modes(["cpu"], folder=Path(sys.argv[1]))
before, free = groups("self"), slowdown()
try:
    with modes:
        modes.set_now("cpu", "0.25cpus")
        limited, waited = slowdown(), throttled()
        child = subprocess.Popen(["sleep", "1"])
        shared = groups(child.pid) == groups("self")
        child.kill()
except HardwareError as error:
    print(json.dumps({"refused": str(error)}))
else:
    found = {"free": free, "limited": limited, "waited": waited, "shared": shared}
    print(json.dumps(found | {"back": groups("self") == before, "after": slowdown()}))
"""


def test_a_quarter_of_a_core_is_four_times_as_slow(tmp_path: Path) -> None:
    """Measured as wall time over CPU time, in a process of its own; children share the quota; it is lifted again."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", TRY, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    if "refused" in found:
        pytest.skip(found["refused"])
    assert found["limited"] > 3.6  # on a machine that is busy, all is slower still
    assert found["waited"] > 10  # periods of 10 ms whose quota was used up
    assert found["shared"]
    assert found["back"]
    if max(found["free"], found["after"]) < 1.5:
        assert found["limited"] < 4.6

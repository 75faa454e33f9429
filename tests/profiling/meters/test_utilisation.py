"""Energy modelled from the CPU time of processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from heterosis.profiling.meters import DYNAMIC, IDLE, UtilisationMeter
from heterosis.terms import UNKNOWN, Device, DeviceType, PowerMode, Quality

POWER = PowerMode(name="default", idle_power_w=3.0, active_power_w=7.0)
CPU = Device(name="cpu", type=DeviceType(name="c", kind="cpu", power_modes=(POWER,)), slots=2)

BURN = """
import sys, time, subprocess
if sys.argv[1:]:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end: pass
    if sys.argv[1:]:
        child.stdin.write(line.encode()); child.stdin.flush(); child.stdout.readline()
    print("done", flush=True)
"""


class Burner:
    """A process that burns CPU seconds on demand, in itself or with a child."""

    def __init__(self, *children: str) -> None:
        """Start it."""
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", BURN, *children], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.burn(0)

    def burn(self, seconds: float) -> None:
        """Burn, and wait for it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        """End it."""
        self.process.communicate()


@pytest.fixture
def burner() -> Iterator[Burner]:
    """A process without children."""
    made = Burner()
    yield made
    made.end()


def test_energy_is_power_times_time(burner: Burner) -> None:
    """Idle joules follow the clock, dynamic joules the CPU seconds since the process was watched."""
    burner.burn(0.2)
    now = [100.0]
    meter = UtilisationMeter(CPU, [burner.process.pid], clock=lambda: now[0])
    burner.burn(0.3)
    now[0] += 10.0
    read = meter.read()
    assert read[IDLE].joules == pytest.approx(30.0)
    assert meter.cpu_seconds() == pytest.approx(0.3, abs=0.06)
    assert read[DYNAMIC].joules == pytest.approx(2.0 * 0.3, abs=0.12)
    assert {energy.quality for energy in read.values()} == {Quality.MODELLED}


def test_an_ended_process_keeps_its_seconds(burner: Burner) -> None:
    """What a process had used when it was last read stays counted after its end."""
    meter = UtilisationMeter(CPU, [burner.process.pid])
    burner.burn(0.2)
    used = meter.cpu_seconds()
    assert used == pytest.approx(0.2, abs=0.05)
    burner.end()
    assert meter.cpu_seconds() == used
    meter.watch(burner.process.pid)
    assert meter.cpu_seconds() == used


def test_children_are_counted_and_so_are_orphans() -> None:
    """A child's seconds count apart from its parent's, also when the parent has gone."""
    burner = Burner(BURN)
    meter = UtilisationMeter(CPU, [burner.process.pid])
    burner.burn(0.15)
    assert meter.cpu_seconds() == pytest.approx(0.3, abs=0.08)
    burner.end()
    time.sleep(0.05)
    assert meter.cpu_seconds() == pytest.approx(0.3, abs=0.08)


def test_unknown_power_gives_unknown_energy(burner: Burner) -> None:
    """Without power figures there are no joules, but the CPU seconds are still known."""
    meter = UtilisationMeter(Device(name="cpu", type=DeviceType(name="c", kind="cpu")))
    meter.watch(burner.process.pid)
    burner.burn(0.1)
    assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}
    assert meter.cpu_seconds() > 0.05


def test_a_mode_of_unknown_power_makes_the_rest_unknown(burner: Burner) -> None:
    """Joules of a mode that the catalogue has go on in its power; what nobody knows is not guessed."""
    slow = PowerMode(name="slow", idle_power_w=1.0, active_power_w=2.0)
    device = Device(name="cpu", type=DeviceType(name="c", kind="cpu", power_modes=(POWER, slow)), slots=2)
    now = [0.0]
    meter = UtilisationMeter(device, [burner.process.pid], clock=lambda: now[0])
    now[0] = 10.0
    meter.switched("slow")
    now[0] = 14.0
    assert meter.read()[IDLE].joules == pytest.approx(34.0)
    meter.switched("1200MHz")
    now[0] = 15.0
    assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}
    meter.switched("default")
    assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}


def test_a_process_that_is_gone_counts_nothing() -> None:
    """Watching a process that has ended is no error."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    meter = UtilisationMeter(CPU, [ended.pid])
    assert meter.cpu_seconds() == 0


def test_a_child_that_is_killed_between_two_readings_is_not_lost() -> None:
    """Whoever waits for a worker inherits its seconds: they need not have been read while it lived."""
    meter = UtilisationMeter(CPU, [os.getpid()])
    burner, before = Burner(), meter.cpu_seconds()
    burner.burn(0.3)
    burner.process.kill()
    burner.end()
    assert meter.cpu_seconds() - before > 0.28

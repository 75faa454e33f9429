"""The best meter of each device, nothing twice, and what is idle apart."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from heterosis.devices import open_modes
from heterosis.profiling.meters import DYNAMIC, IDLE, HardwareMeter, Source, nvml, open_meter, rapl
from heterosis.profiling.meters.attribution import Attributed, IdlePower, measure_idle
from heterosis.profiling.meters.composite import METERS, Opener
from heterosis.terms import UNKNOWN, Device, DeviceType, Energy, PowerMode, Quality
from heterosis.testing.hardware import AGX_ORIN, CPUFREQ, QUOTA, RAPL, FakeCard, FakeNvml, write_files

STAT = "cpu  {busy} 0 0 9000 0 0 0 0 0 0\n"
CPUINFO = "".join(f"processor\t: {core}\n" for core in range(4))
POWER = PowerMode(name="default", idle_power_w=3.0, active_power_w=7.0)
CPU = Device(name="cpu", type=DeviceType(name="c", kind="cpu", power_modes=(POWER,)), slots=2)
UNKNOWN_CPU = Device(name="cpu", type=DeviceType(name="c", kind="cpu"), slots=2)
GPU = Device(name="nvidia-0", type=DeviceType(name="g", kind="gpu"))
BOARD = Device(name="jetson", type=DeviceType(name="agx-orin", kind="gpu"))


def machine(root: Path, *files: dict[str, str]) -> Path:
    """Make the files of a machine with four cores, and more."""
    write_files(root, {"proc/stat": STAT.format(busy=0), "proc/cpuinfo": CPUINFO})
    for more in files:
        write_files(root, more)
    return root


class Steady:
    """A meter of hardware that tells what it is told to."""

    name, covers, resolution_s = "steady", frozenset({"cpu"}), 0.001

    def __init__(self) -> None:
        """At first it has counted nothing."""
        self.energy = Energy(0.0, Quality.COUNTER)

    def read(self) -> dict[str, Energy]:
        """Tell."""
        return {"package-0": self.energy}

    def close(self) -> None:
        """Nothing is held."""


def test_counters_come_before_models(tmp_path: Path) -> None:
    """Of a CPU with RAPL the counters are taken, and what is idle is measured by them."""
    root = machine(tmp_path, RAPL)
    with open_meter([CPU], root=root, idle_s=0.01) as meter:
        (source,) = meter.sources
        assert (source.devices, source.meter) == (("cpu",), "RAPL (powercap)")
        assert "idle power measured" in source.note
        assert {energy.quality for energy in meter.read().values()} == {Quality.COUNTER}
        counted_s = meter.period_s
    with open_meter([CPU], root=machine(tmp_path / "other")) as meter:
        assert meter.period_s > counted_s  # shares of joules change; what a second of CPU time costs does not


def test_a_cpu_without_counters_is_modelled(tmp_path: Path) -> None:
    """With the reason; one whose power is unknown is unknown, and not 0 J."""
    root = machine(tmp_path)
    with open_meter([CPU], root=root) as meter:
        assert meter.sources[0].meter == "utilisation"
        assert "no RAPL counters" in meter.sources[0].note
        assert {energy.quality for energy in meter.read().values()} == {Quality.MODELLED}
    with open_meter([UNKNOWN_CPU], root=root) as meter:
        assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}
        assert meter.sources[0].meter == ""


def test_one_unknown_device_makes_the_sum_unknown(tmp_path: Path) -> None:
    """But what counts the others still tells of them."""
    root = machine(tmp_path)
    coral = Device(name="coral-0", type=DeviceType(name="coral", kind="tpu"))
    with open_meter([CPU, coral], root=root) as meter:
        assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}
        by_device = {source.devices: energies[IDLE].quality for source, energies in meter.by_source().items()}
        assert by_device == {("cpu",): Quality.MODELLED, ("coral-0",): Quality.NONE}


def test_a_board_is_counted_once(tmp_path: Path) -> None:
    """The rails of a Jetson have its CPU and its GPU; neither is modelled beside them."""
    root = machine(tmp_path, AGX_ORIN)
    with open_meter([CPU, BOARD], root=root, idle_s=0.01) as meter:
        assert [source.devices for source in meter.sources] == [("cpu", "jetson")]
        assert meter.read()[DYNAMIC].quality is Quality.SAMPLED


def test_no_device_is_counted_by_two_meters(tmp_path: Path) -> None:
    """The first that covers a device has it, whatever the order of the rest."""
    root = machine(tmp_path, RAPL, AGX_ORIN)
    with open_meter([CPU, BOARD], root=root, idle_s=0.01) as meter:
        devices = [device for source in meter.sources for device in source.devices]
        assert sorted(devices) == ["cpu", "jetson"]


def test_a_card_apart_from_the_cpu(tmp_path: Path) -> None:
    """A device's meter that fails does not keep the others from theirs."""
    root = machine(tmp_path, RAPL)
    card = FakeCard()
    library = FakeNvml(card)
    second = Device(name="nvidia-1", type=GPU.type)

    def cards(devices: Sequence[Device], root: Path) -> Iterable[Callable[[], HardwareMeter]]:
        return nvml.meters(devices, root, library)

    meters: dict[str, Opener] = {"nvml": cards, "rapl": rapl.meters}
    with open_meter([CPU, second, GPU], root=root, idle_s=0.01, meters=meters) as meter:
        found = {source.devices[0]: source.meter for source in meter.sources}
        assert found == {"cpu": "RAPL (powercap)", "nvidia-0": "NVML counter", "nvidia-1": ""}
        assert list(METERS) == ["nvml", "rapl", "amd", "ina3221"]


def test_dynamic_energy_goes_by_the_share_of_cpu_time() -> None:
    """Above idle, ours is our part of the CPU seconds; idle is charged for the cores that the device lends."""
    meter, now, ours, all_ = Steady(), [0.0], [0.0], [0.0]
    part = Attributed(
        meter,
        IdlePower(power=Energy(10.0, Quality.COUNTER)),
        idle_share=0.5,
        cpu_seconds=(lambda: ours[0], lambda: all_[0]),
        clock=lambda: now[0],
    )
    now[0], ours[0], all_[0], meter.energy = 4.0, 1.0, 4.0, Energy(60.0, Quality.COUNTER)
    assert part.read() == {IDLE: Energy(20.0, Quality.COUNTER), DYNAMIC: Energy(5.0, Quality.COUNTER)}
    now[0], ours[0], all_[0], meter.energy = 5.0, 3.0, 6.0, Energy(90.0, Quality.COUNTER)
    assert part.read()[DYNAMIC].joules == pytest.approx(25.0)


def test_noise_below_idle_is_not_taken_back() -> None:
    """Counters for Prometheus never fall."""
    meter, now = Steady(), [0.0]
    part = Attributed(meter, IdlePower(power=Energy(10.0, Quality.COUNTER)), clock=lambda: now[0])
    now[0], meter.energy = 1.0, Energy(15.0, Quality.COUNTER)
    assert part.read()[DYNAMIC].joules == pytest.approx(5.0)
    now[0], meter.energy = 2.0, Energy(22.0, Quality.COUNTER)
    assert part.read()[DYNAMIC].joules == pytest.approx(5.0)
    now[0], meter.energy = 3.0, Energy(36.0, Quality.COUNTER)
    assert part.read()[DYNAMIC].joules == pytest.approx(6.0)


def test_idle_power_of_another_mode_is_only_modelled() -> None:
    """It was measured in the mode that the device was in; back there, it holds again, though not for the sum."""
    meter, now = Steady(), [0.0]
    part = Attributed(meter, IdlePower(power=Energy(10.0, Quality.COUNTER)), clock=lambda: now[0])
    now[0], meter.energy = 1.0, Energy(15.0, Quality.COUNTER)
    part.switched("1200MHz")
    assert part.read()[IDLE] == Energy(10.0, Quality.MODELLED)
    now[0], meter.energy = 2.0, Energy(30.0, Quality.COUNTER)
    assert part.read() == {IDLE: Energy(20.0, Quality.MODELLED), DYNAMIC: Energy(10.0, Quality.MODELLED)}


def test_changes_of_mode_reach_the_meter(tmp_path: Path) -> None:
    """Of a frequency whose power is unknown the joules are; a quota leaves the model as it is."""
    root = machine(tmp_path, CPUFREQ, QUOTA)
    with open_modes(["cpu"], root=root, folder=tmp_path / "state") as modes, open_meter([CPU], root=root) as meter:
        modes.when_changed(meter.switched)
        modes.set_now("cpu", "1cpus")
        assert meter.read()[IDLE].quality is Quality.MODELLED
        modes.set_now("cpu", "1200MHz")
        assert meter.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}


def test_a_lost_meter_makes_both_parts_unknown() -> None:
    """Unplugged: from then on nothing is known, idle energy neither."""
    meter = Steady()
    part = Attributed(meter, IdlePower(power=Energy(10.0, Quality.COUNTER)))
    meter.energy = UNKNOWN
    assert part.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}
    meter.energy = Energy(15.0, Quality.COUNTER)
    assert part.read() == {IDLE: UNKNOWN, DYNAMIC: UNKNOWN}


def test_idle_power_of_a_busy_machine_is_only_modelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes draw, too: it is said that the figure is too high."""
    root = machine(tmp_path)
    meter = Steady()

    def work(seconds: float) -> None:
        meter.energy = Energy(8.0, Quality.COUNTER)
        (root / "proc/stat").write_text(STAT.format(busy=10_000))
        assert seconds == 1.0

    monkeypatch.setattr("time.sleep", work)
    idle = measure_idle(meter, 1.0, root)
    assert idle.power.quality is Quality.MODELLED
    assert "other processes kept" in idle.note


def test_sees_what_ends_between_two_readings(tmp_path: Path) -> None:
    """What a child used until its very end is counted, though it was never read while it ran."""
    burn = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass"
    parent = (
        "import subprocess, sys\n"
        f"for line in sys.stdin: subprocess.run([sys.executable, '-c', {burn!r}.format(line)]); print(flush=True)"
    )
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        with open_meter([CPU], root=machine(tmp_path)) as meter:
            meter.watch(process.pid)
            process.stdin.write("0.3\n")
            process.stdin.flush()
            process.stdout.readline()
            assert meter.cpu_seconds() == pytest.approx(0.33, abs=0.1)
            assert Source(devices=("cpu",), meter="utilisation", note=meter.sources[0].note) in meter.by_source()
    finally:
        process.communicate()

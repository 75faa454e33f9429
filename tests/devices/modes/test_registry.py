"""Power modes set, put back in the end, and after a crash."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from heterosis.devices.modes.registry import PowerModes, open_modes
from heterosis.terms.errors import HardwareError
from heterosis.testing.hardware import CPUFREQ, QUOTA, FakeCard, FakeNvml, write_files

Open = Callable[[], PowerModes]

HOLDER = """
import sys, time
from pathlib import Path
from heterosis.devices.modes.registry import open_modes
modes = open_modes(["cpu"], root=Path(sys.argv[1]), folder=Path(sys.argv[2]))
modes.set_now("cpu", "1200MHz")
print("set", flush=True)
time.sleep(60)
"""


def governor(root: Path) -> str:
    """Return the governor of the first cluster."""
    return (root / "sys/devices/system/cpu/cpufreq/policy0/scaling_governor").read_text().strip()


def frequency(root: Path) -> str:
    """Return the highest frequency of the first cluster."""
    return (root / "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq").read_text().strip()


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Return what opens the power modes of a CPU whose clock can be set."""
    write_files(tmp_path / "root", CPUFREQ)
    return lambda: open_modes(["cpu"], root=tmp_path / "root", folder=tmp_path / "state", node="here")


async def test_sets_and_puts_back(opened: Open, tmp_path: Path) -> None:
    """A mode holds until the end; ``default`` is what was before; nothing is left on disk."""
    root, folder = tmp_path / "root", tmp_path / "state"
    with opened() as modes:
        assert modes.modes("cpu")[:2] == ("default", "performance")
        await modes.set("here", "cpu", "performance")
        assert governor(root) == "performance"
        assert [file.name for file in folder.iterdir()] == ["cpu.json"]
        await modes.set("here", "cpu", "default")
        assert governor(root) == "schedutil"
        await modes.set("here", "cpu", "powersave")
    assert governor(root) == "schedutil"
    assert not list(folder.iterdir())


async def test_what_cannot_be_set_says_why(opened: Open) -> None:
    """Modes that a device lacks, devices that have none, and those of other machines."""
    with opened() as modes:
        with pytest.raises(HardwareError, match="cpu has no power mode 'turbo' here; it has: default, performance"):
            await modes.set("here", "cpu", "turbo")
        with pytest.raises(HardwareError, match="coral-0 has no power mode 'fast'"):
            await modes.set("here", "coral-0", "fast")
        with pytest.raises(HardwareError, match="there is not this machine"):
            await modes.set("there", "cpu", "performance")


def test_a_mode_that_is_set_by_half_is_taken_back(opened: Open, tmp_path: Path) -> None:
    """One cluster that refuses leaves the others as they were."""
    with opened() as modes:
        modes.set_now("cpu", "1200MHz")
        bad = tmp_path / "root/sys/devices/system/cpu/cpufreq/policy1/scaling_governor"
        text = bad.read_text()
        bad.unlink()
        bad.mkdir()
        with pytest.raises(HardwareError, match="scaling_governor"):
            modes.set_now("cpu", "performance")
        bad.rmdir()
        bad.write_text(text)
    assert governor(tmp_path / "root") == "schedutil"
    assert frequency(tmp_path / "root") == "2400000"


def test_damaged_notes_are_told_and_kept(opened: Open, tmp_path: Path) -> None:
    """A file that cannot be read is no reason not to start."""
    file = tmp_path / "state/cpu.json"
    file.parent.mkdir()
    file.write_text('{"device": "cp')
    with opened() as modes:
        assert modes.recovered[0].startswith("cpu may not be what it was")
    assert file.exists()


def test_one_owner_at_a_time(opened: Open) -> None:
    """Two servers would each put back what the other had set."""
    with opened() as modes:
        modes.set_now("cpu", "performance")
        with opened() as second, pytest.raises(HardwareError, match="another process has set the power mode of cpu"):
            second.set_now("cpu", "powersave")


def test_what_cannot_be_put_back_is_kept_for_later(opened: Open, tmp_path: Path) -> None:
    """The next start tries again."""
    modes = opened()
    modes.set_now("cpu", "performance")
    file = tmp_path / "root/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    file.unlink()
    file.mkdir()
    with pytest.raises(HardwareError, match="scaling_governor"):
        modes.close()
    file.rmdir()
    file.write_text("performance")
    opened().close()
    assert governor(tmp_path / "root") == "schedutil"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_put_back_after_a_crash(tmp_path: Path, number: signal.Signals) -> None:
    """A server that is killed cannot put anything back; its watcher does, at once."""
    root, folder = write_files(tmp_path / "root", CPUFREQ), tmp_path / "state"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLDER, str(root), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "set\n"
        assert frequency(root) == "1200000"
        process.send_signal(number)
    deadline = time.monotonic() + 30
    while frequency(root) != "2400000" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert frequency(root) == "2400000"


def test_put_back_at_the_next_start(opened: Open, tmp_path: Path) -> None:
    """Where the watcher died too, as when the power failed."""
    root, folder = tmp_path / "root", tmp_path / "state"
    modes = PowerModes(opened()._actuators, folder, root=root, watch=False)  # noqa: SLF001 - as opened, unwatched
    modes.set_now("cpu", "performance")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    for ledger in modes._ledgers.values():  # noqa: SLF001 - what the end of the process does
        os.close(ledger._descriptor)  # noqa: SLF001
    recovered = open_modes(["cpu"], root=root, folder=folder).recovered
    assert recovered == ("cpu was put back to what it was before a process that died",)
    assert governor(root) == "schedutil"
    modes._before.clear()  # noqa: SLF001 - its process is dead


def test_two_ways_to_set_one_device(tmp_path: Path) -> None:
    """A mode of one lifts that of the other."""
    root = write_files(tmp_path / "root", CPUFREQ | QUOTA)
    with open_modes(["cpu"], root=root, folder=tmp_path / "state") as modes:
        modes.set_now("cpu", "1cpus")
        assert (root / "sys/fs/cgroup/box/cpu.max").read_text() == "10000 10000"
        modes.set_now("cpu", "1200MHz")
        assert (root / "sys/fs/cgroup/box/cpu.max").read_text() == "max 100000"
        assert frequency(root) == "1200000"
    assert frequency(root) == "2400000"


def test_what_cannot_be_set_does_not_keep_the_rest_from_it(tmp_path: Path) -> None:
    """A device whose modes cannot be set is told with the reason; a card beside it is set, and put back."""
    card = FakeCard()
    modes = open_modes(["cpu", "nvidia-0", "coral-0"], root=tmp_path, folder=tmp_path / "s", nvml=FakeNvml(card))
    with modes:
        modes.set_now("nvidia-0", "110W")
        assert card.limit_mw == 110_000
        assert "no cpufreq" in modes.refused["cpu"][0]
        assert modes.modes("coral-0") == ("default",)
    assert card.limit_mw == 150_000

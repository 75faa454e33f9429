"""Clocks, limits and quotas, on files and libraries made up for them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from heterosis.devices.modes.cpufreq import Cpufreq
from heterosis.devices.modes.nvidia import NvidiaCard
from heterosis.devices.modes.nvpmodel import Nvpmodel, mode_now
from heterosis.devices.modes.quota import CpuQuota
from heterosis.terms.errors import HardwareError
from heterosis.testing.hardware import AGX_ORIN, CPUFREQ, FakeCard, FakeNvml, write_files

CPUINFO = "".join(f"processor\t: {core}\n" for core in range(4))


def settings(root: Path) -> set[tuple[str, str]]:
    """Return governor and highest frequency of every cluster."""
    folders = (root / "sys/devices/system/cpu/cpufreq").iterdir()
    return {((each / "scaling_governor").read_text(), (each / "scaling_max_freq").read_text()) for each in folders}


def test_cpufreq_sets_governors_and_frequencies(tmp_path: Path) -> None:
    """On all clusters; what was before comes back."""
    root = write_files(tmp_path, CPUFREQ)
    clock = Cpufreq(root)
    assert clock.modes == ("performance", "powersave", "schedutil", "1200MHz", "1800MHz", "2400MHz")
    before = clock.read()
    clock.set("1800MHz")
    assert settings(root) == {("schedutil\n", "1800000")}
    clock.set("performance")
    assert settings(root) == {("performance", "2400000")}
    clock.restore(before)
    assert settings(root) == {("schedutil", "2400000")}


@pytest.mark.parametrize(
    ("mode", "taken"), [("1500MHz", True), ("900MHz", False), ("turbo", False), ("15W", False), ("MHz", False)]
)
def test_cpufreq_takes_what_the_cpu_can(tmp_path: Path, mode: str, taken: bool) -> None:  # noqa: FBT001 - a table
    """Frequencies within its range, and its governors."""
    assert Cpufreq(write_files(tmp_path, CPUFREQ)).takes(mode) is taken


def test_a_setting_that_does_not_hold_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is read back: some drivers take anything and do nothing."""
    clock = Cpufreq(write_files(tmp_path, CPUFREQ))
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 0)
    with pytest.raises(HardwareError, match="was set to 'performance' and says 'schedutil'"):
        clock.set("performance")


def test_without_permission_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root sets clocks."""
    clock = Cpufreq(write_files(tmp_path, CPUFREQ))

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(HardwareError, match="scaling_governor may be written by root only"):
        clock.set("performance")


def test_a_virtual_machine_has_no_clock(tmp_path: Path) -> None:
    """It is said why there is nothing to set."""
    with pytest.raises(HardwareError, match="virtual machines"):
        Cpufreq(tmp_path)


def test_nvidia_limits_power_or_clock() -> None:
    """One or the other; both come back."""
    card = FakeCard(limit_mw=140_000)
    limiter = NvidiaCard(0, FakeNvml(card))
    assert limiter.modes == ("100W", "150W", "1695MHz")
    assert [limiter.takes(mode) for mode in ("99W", "120W", "1200MHz", "2000MHz", "fast")] == [
        False,
        True,
        True,
        False,
        False,
    ]
    before = limiter.read()
    limiter.set("120W")
    assert (card.limit_mw, card.clocks_mhz) == (120_000, None)
    limiter.set("900MHz")
    assert (card.limit_mw, card.clocks_mhz) == (150_000, (0, 900))
    limiter.restore(before)
    assert (card.limit_mw, card.clocks_mhz) == (140_000, None)


def test_nvidia_needs_root() -> None:
    """The driver's refusal is told with what helps."""
    card = FakeCard(broken={"SetPowerManagementLimit": 4})
    with pytest.raises(HardwareError, match="nvidia-0: Insufficient Permissions; run as root"):
        NvidiaCard(0, FakeNvml(card)).set("120W")


def test_nvpmodel_changes_modes(tmp_path: Path) -> None:
    """By their numbers in the file; read back by the status."""
    root = write_files(tmp_path, AGX_ORIN)

    def run(command: Sequence[str]) -> str:
        assert command[:2] == ["nvpmodel", "-m"]
        (root / "var/lib/nvpmodel/status").write_text(f"pmode:{int(command[2]):04}")
        return ""

    board = Nvpmodel(root, run)
    before = board.read()
    assert before == {"mode": "MODE_30W"}
    board.set("MODE_15W")
    assert mode_now(root) == "MODE_15W"
    board.restore(before)
    assert mode_now(root) == "MODE_30W"


def test_a_mode_that_needs_a_reboot_is_refused(tmp_path: Path) -> None:
    """Nobody wants a server to reboot for its planner."""
    board = Nvpmodel(write_files(tmp_path, AGX_ORIN), lambda _: "NVPM WARN: Reboot required for changing to this mode")
    with pytest.raises(HardwareError, match="not in power mode MAXN: it asks for a reboot"):
        board.set("MAXN")


def test_quota_of_the_own_group_of_cgroup_v2(tmp_path: Path) -> None:
    """A container or service has a group of its own, whose quota is set and put back."""
    files = {
        "proc/self/cgroup": "0::/pod/box\n",
        "proc/cpuinfo": CPUINFO,
        "sys/fs/cgroup/pod/box/cgroup.controllers": "cpu memory\n",
        "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
    }
    root = write_files(tmp_path, files)
    quota = CpuQuota(root)
    assert quota.modes == ("0.1cpus", "4cpus")
    before = quota.read()
    quota.set("1.5cpus")
    file = root / "sys/fs/cgroup/pod/box/cpu.max"
    assert file.read_text() == "15000 10000"
    quota.restore(before)
    assert file.read_text() == "max 100000"


def test_no_group_no_quota(tmp_path: Path) -> None:
    """It is said what is missing."""
    root = write_files(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n"})
    with pytest.raises(HardwareError, match="no control group with a quota"):
        CpuQuota(root)

"""What a machine says of itself, read from made-up files."""

from pathlib import Path

import pytest

from heterosis.devices import describe, local_fleet, memory_bytes, usable_cores
from heterosis.devices.cgroup import cpu_quota, memory_limit
from heterosis.terms import Quality

XEON = """processor\t: {core}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: fpu avx avx2 avx512f amx_tile

"""
PI = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd
CPU implementer\t: 0x41
CPU part\t: 0xd0b

"""


def machine(root: Path, files: dict[str, str] | None = None, cpu: str = XEON, cores: int = 8) -> Path:
    """Make the files of a machine, and others beside them."""
    contents = {
        "proc/cpuinfo": "".join(cpu.format(core=core) for core in range(cores)),
        "proc/meminfo": "MemTotal:       16000000 kB\nMemFree: 1 kB\n",
        "proc/sys/kernel/hostname": "edge-7\n",
    } | (files or {})
    for name, text in contents.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_whole_machine(tmp_path: Path) -> None:
    """Without limits, the CPU has a slot for each core, and all memory."""
    fleet = local_fleet(machine(tmp_path))
    (node,) = fleet.nodes
    (cpu,) = node.devices
    assert node.name == "edge-7"
    assert (cpu.name, cpu.type.name, cpu.slots) == ("cpu", "intel-sapphire-rapids-8vcpu", 8)
    assert cpu.memory_bytes == 16_000_000 * 1024
    assert cpu.idle_power_w("default") == pytest.approx(8 * 1.036)


@pytest.mark.parametrize(
    ("quota", "slots"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)]
)
def test_quota_of_cgroup_v2(tmp_path: Path, quota: str, slots: int) -> None:
    """The slots are the whole CPUs that the quota pays for, at least one; power is that of these alone."""
    files = {"proc/self/cgroup": "0::/pod/box\n", "sys/fs/cgroup/pod/cpu.max": f"{quota}\n"}
    root = machine(tmp_path, files)
    (cpu,) = local_fleet(root).devices
    assert cpu.slots == slots
    assert cpu.type.name.endswith(f"-{slots}vcpu")
    assert usable_cores(root) == tuple(range(slots))


def test_quota_and_memory_of_cgroup_v1(tmp_path: Path) -> None:
    """The limits of the older control groups hold too; theirs for "none" is a huge number."""
    groups = "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/\n"
    files = {
        "proc/self/cgroup": groups,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1000000",
    }
    root = machine(tmp_path, files)
    assert cpu_quota(root) == 3
    assert memory_limit(root) == memory_bytes(root) == 1_000_000


def test_strictest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    """A group cannot have more than those above it; a path that leads out of what is seen ends at its top."""
    files = {
        "proc/self/cgroup": "0::/../../a/b\n",
        "sys/fs/cgroup/cpu.max": "200000 100000",
        "sys/fs/cgroup/memory.max": "max",
    }
    root = machine(tmp_path, files)
    assert cpu_quota(root) == 2
    assert memory_limit(root) is None
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    (root / "sys/fs/cgroup/a").mkdir()
    (root / "sys/fs/cgroup/a/cpu.max").write_text("400000 100000")
    assert cpu_quota(root) == 2


def test_board_without_a_model_name(tmp_path: Path) -> None:
    """A CPU that says little is named after the board or the part, and its power is unknown."""
    (cpu,) = local_fleet(machine(tmp_path, cpu=PI, cores=4)).devices
    assert cpu.type.name == "0x41-0xd0b-4vcpu"
    assert cpu.type.quality is Quality.NONE
    root = machine(tmp_path, cpu=PI + "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n", cores=4)
    assert local_fleet(root).devices[0].type.name == "raspberry-pi-5-model-b-rev-1-0-4vcpu"


def test_this_machine() -> None:
    """This machine has a CPU with cores and memory, and a description."""
    (cpu,) = local_fleet().devices
    assert cpu.slots == len(usable_cores()) >= 1
    assert cpu.memory_bytes
    assert f"{cpu.slots} cores" in describe()

"""Hardware that is not here: files as Linux has them for a board or server, and NVIDIA's library with made-up cards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write files under a root, by their paths; return the root."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


CPUFREQ = {
    f"sys/devices/system/cpu/cpufreq/policy{number}/{name}": text
    for number in (0, 1)
    for name, text in {
        "scaling_driver": "acpi-cpufreq\n",
        "scaling_governor": "schedutil\n",
        "scaling_available_governors": "performance powersave schedutil\n",
        "scaling_available_frequencies": "2400000 1800000 1200000\n",
        "scaling_min_freq": "1200000\n",
        "scaling_max_freq": "2400000\n",
        "cpuinfo_min_freq": "1200000\n",
        "cpuinfo_max_freq": "2400000\n",
    }.items()
}
"""A CPU with two clusters whose clock can be set."""

QUOTA = {
    "proc/self/cgroup": "0::/box\n",
    "proc/cpuinfo": "processor\t: 0\nprocessor\t: 1\n",
    "sys/fs/cgroup/box/cgroup.controllers": "cpu\n",
    "sys/fs/cgroup/box/cpu.max": "max 100000\n",
}
"""Two cores, and a control group (v2) that may be given a quota of their time."""

AGX_ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0",
    "proc/meminfo": "MemTotal:       64349836 kB\n",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n",
    "etc/nvpmodel.conf": (
        "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n"
        "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n"
        "< POWER_MODEL ID=1 NAME=MODE_15W >\nCPU_ONLINE CORE_0 1\n"
        "< POWER_MODEL ID=2 NAME=MODE_30W >\nCPU_ONLINE CORE_0 1\n"
        "< PM_CONFIG DEFAULT=2 >\n"
    ),
    "var/lib/nvpmodel/status": "pmode:0002",
    "sys/class/hwmon/hwmon3/name": "ina3221\n",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC\n",
    "sys/class/hwmon/hwmon3/in1_input": "20000\n",
    "sys/class/hwmon/hwmon3/curr1_input": "400\n",
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_CV\n",
    "sys/class/hwmon/hwmon3/in2_input": "20000\n",
    "sys/class/hwmon/hwmon3/curr2_input": "100\n",
    "sys/class/hwmon/hwmon3/in3_label": "VIN_SYS_5V0\n",
    "sys/class/hwmon/hwmon3/in3_input": "5000\n",
    "sys/class/hwmon/hwmon3/curr3_input": "800\n",
}
"""A Jetson AGX Orin in its 30 W mode, of which three rails draw 8, 2 and 4 W."""

RAPL = {
    f"sys/class/powercap/{zone}/{name}": text
    for zone, label, joules in (
        ("intel-rapl:0", "package-0", 100),
        ("intel-rapl:0/intel-rapl:0:0", "core", 80),
        ("intel-rapl:0/intel-rapl:0:1", "dram", 30),
        ("intel-rapl:1", "package-1", 90),
        ("intel-rapl:1/intel-rapl:1:0", "dram", 20),
        ("intel-rapl:2", "psys", 500),
        ("intel-rapl-mmio:0", "package-0", 100),
    )
    for name, text in {
        "name": f"{label}\n",
        "energy_uj": f"{joules * 1_000_000}\n",
        "max_energy_range_uj": "262143328850\n",
    }.items()
}
"""The counters of a server with two packages."""


class FakeNvmlError(Exception):
    """What the library raises."""

    def __init__(self, value: int) -> None:
        """``value`` is one of the library's numbers of errors."""
        super().__init__({3: "Not Supported", 4: "Insufficient Permissions", 15: "GPU is lost"}.get(value, str(value)))
        self.value = value


@dataclass
class FakeCard:
    """A card, with what it tells; ``broken`` names functions that fail, by the number of their error."""

    name: str | bytes = "NVIDIA A10"
    memory_bytes: int = 24 << 30
    energy_mj: int = 0
    power_mw: int = 40_000
    limit_mw: int = 150_000
    limits_mw: tuple[int, int] = (100_000, 150_000)
    clocks_mhz: tuple[int, int] | None = None
    broken: dict[str, int] = field(default_factory=dict)


class FakeNvml:
    """Stands in for the module `pynvml`, as far as heterosis asks it."""

    NVMLError = FakeNvmlError
    NVML_ERROR_NO_PERMISSION = 4
    NVML_CLOCK_SM = 1

    def __init__(self, *cards: FakeCard) -> None:
        """Have these cards."""
        self.cards = cards

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        """Open the library."""

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802 - the library's name
        """Tell the driver's version."""
        return b"570.86.15"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - the library's name
        """Count the cards."""
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:  # noqa: N802 - the library's name
        """Open a card."""
        if index >= len(self.cards):
            raise FakeNvmlError(2)
        return self.cards[index]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function of one card."""
        if name.removeprefix("nvmlDevice") not in _FUNCTIONS:
            raise AttributeError(name)

        def function(card: FakeCard, *arguments: int) -> Any:
            short = name.removeprefix("nvmlDevice")
            if short in card.broken:
                raise FakeNvmlError(card.broken[short])
            return _FUNCTIONS[short](card, *arguments)

        return function


class _Memory:
    def __init__(self, total: int) -> None:
        self.total = total


def _limit(card: FakeCard, milliwatts: int) -> None:
    card.limit_mw = milliwatts


def _lock(card: FakeCard, lowest: int, highest: int) -> None:
    card.clocks_mhz = (lowest, highest)


def _unlock(card: FakeCard) -> None:
    card.clocks_mhz = None


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "GetName": lambda card: card.name,
    "GetUUID": lambda card: f"GPU-{id(card)}",
    "GetMemoryInfo": lambda card: _Memory(card.memory_bytes),
    "GetTotalEnergyConsumption": lambda card: card.energy_mj,
    "GetPowerUsage": lambda card: card.power_mw,
    "GetPowerManagementLimit": lambda card: card.limit_mw,
    "GetPowerManagementDefaultLimit": lambda card: card.limits_mw[1],
    "GetPowerManagementLimitConstraints": lambda card: list(card.limits_mw),
    "GetMaxClockInfo": lambda _card, _clock: 1695,
    "SetPowerManagementLimit": _limit,
    "SetGpuLockedClocks": _lock,
    "ResetGpuLockedClocks": _unlock,
}

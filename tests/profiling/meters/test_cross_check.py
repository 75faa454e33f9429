"""Our counters against those of others, on the same files: codecarbon's and Zeus' readers of RAPL.

Neither is among our dependencies; without them these are skipped.
"""

from pathlib import Path

import pytest

from heterosis.profiling.meters.rapl import RaplMeter
from heterosis.testing.hardware import RAPL, write_files

RANGE_UJ = 262_143_328_850
ZONE = "sys/class/powercap/intel-rapl:0"
STEPS = (100_000_000, 104_250_000, 180_000_000, 262_143_000_000, 5_000_000, 7_500_000)
"""What the counter says, one reading after the other; it wraps around on the way."""


def test_codecarbon_counts_the_same(tmp_path: Path) -> None:
    """Step by step, and over the wrap."""
    pytest.importorskip("codecarbon", reason="codecarbon is not installed")
    from codecarbon.core.rapl import RAPLFile
    from codecarbon.core.units import Time

    files = {f"{ZONE}/name": "package-0\n", f"{ZONE}/max_energy_range_uj": f"{RANGE_UJ}\n"}
    zone = write_files(tmp_path, files | {f"{ZONE}/energy_uj": f"{STEPS[0]}\n"}) / ZONE
    ours = RaplMeter("cpu", tmp_path)
    theirs = RAPLFile("package-0", str(zone / "energy_uj"), str(zone / "max_energy_range_uj"))
    kwh = 0.0
    for step in STEPS[1:]:
        (zone / "energy_uj").write_text(f"{step}\n")
        theirs.delta(Time(1.0))
        kwh += theirs.energy_delta.kWh
        assert ours.read()["package-0"].joules == pytest.approx(kwh * 3.6e6, rel=1e-6)


def test_zeus_counts_the_same(tmp_path: Path) -> None:
    """Packages and their memory, on a server with two."""
    pytest.importorskip("zeus.device.cpu.rapl", reason="zeus is not installed")
    from zeus.device.cpu.rapl import RAPLCPU

    root = write_files(tmp_path, RAPL)
    folder = root / "zeus"  # it wants the packages in a folder of their own, as the driver has them
    folder.mkdir()
    for index in (0, 1):
        (folder / f"intel-rapl:{index}").symlink_to(root / f"sys/class/powercap/intel-rapl:{index}")
    ours = RaplMeter("cpu", root)
    theirs = [RAPLCPU(index, str(folder)) for index in (0, 1)]

    def told() -> list[float]:
        readings = [cpu.get_total_energy_consumption() for cpu in theirs]
        return [mj for reading in readings for mj in (reading.cpu_mj, reading.dram_mj)]

    before = told()
    for number, file in enumerate(sorted((root / "sys/class/powercap").glob("**/energy_uj"))):
        file.write_text(f"{int(file.read_text()) + 1_000_000 * (number + 1)}\n")
    spent = [(now - then) / 1e3 for now, then in zip(told(), before, strict=True)]
    read = {name: energy.joules for name, energy in ours.read().items()}
    assert spent == pytest.approx([read[f"package-{index}{part}"] for index in (0, 1) for part in ("", " dram")])

"""Meters of hardware, on files and libraries made up for them."""

import os
import shutil
import threading
import types
from pathlib import Path

import pytest

from heterosis.profiling.meters.amd import AmdHwmonMeter, AmdSmiMeter
from heterosis.profiling.meters.ina3221 import Ina3221Meter, rails
from heterosis.profiling.meters.integrator import Integrator
from heterosis.profiling.meters.nvml import NvmlMeter
from heterosis.profiling.meters.rapl import RaplMeter
from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import HardwareError
from heterosis.testing.hardware import AGX_ORIN, RAPL, FakeCard, FakeNvml, write_files

BOARD = frozenset({"jetson", "cpu"})


def test_rapl_counts_packages_and_memory_once(tmp_path: Path) -> None:
    """Cores are in their package, psys has the packages again, and so has the mmio interface."""
    root = write_files(tmp_path, RAPL)
    zones = root / "sys/class/powercap"
    (zones / "intel-rapl:0:1").symlink_to("intel-rapl:0/intel-rapl:0:1")  # as Linux has it
    meter = RaplMeter("cpu", root)
    for file in zones.glob("**/energy_uj"):
        file.write_text(f"{int(file.read_text()) + 2_500_000}\n")
    read = meter.read()
    assert sorted(read) == ["package-0", "package-0 dram", "package-1", "package-1 dram"]
    assert set(read.values()) == {Energy(2.5, Quality.COUNTER)}


def test_rapl_takes_one_of_two_counters_that_mirror_each_other(tmp_path: Path) -> None:
    """Some processors of several dies tell the joules of the whole socket once for each die."""
    root = write_files(tmp_path, RAPL | {"sys/class/powercap/intel-rapl:1/energy_uj": "100200000\n"})
    assert sorted(RaplMeter("cpu", root).read()) == ["package-0", "package-0 dram", "package-1 dram"]


def test_rapl_wraps_around(tmp_path: Path) -> None:
    """By the range that the zone itself tells."""
    files = {"sys/class/powercap/intel-rapl:0/name": "package-0", "sys/class/powercap/intel-rapl:0/energy_uj": "900"}
    root = write_files(tmp_path, files | {"sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850"})
    file = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    file.write_text("262143000000")
    meter = RaplMeter("cpu", root)
    file.write_text("671150")
    assert meter.read()["package-0"].joules == pytest.approx(1.0)


def test_rapl_falls_back_to_the_platform(tmp_path: Path) -> None:
    """Where there are no packages, psys is what there is."""
    files = {name: text for name, text in RAPL.items() if "intel-rapl:2" in name}
    assert list(RaplMeter("cpu", write_files(tmp_path, files)).read()) == ["psys"]


def test_rapl_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to permit, and that it gives something away."""
    root = write_files(tmp_path, RAPL)
    read_text = Path.read_text

    def refuse(self: Path, *args: str, **kwargs: str) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(HardwareError, match=r"root only: run as root, or `sudo chmod a\+r .*PLATYPUS"):
        RaplMeter("cpu", root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rapl_without_permission_for_real(tmp_path: Path) -> None:
    """The same, by the system's own refusal."""
    root = write_files(tmp_path, RAPL)
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").chmod(0)
    with pytest.raises(HardwareError, match="root only"):
        RaplMeter("cpu", root)


def test_a_machine_without_rapl(tmp_path: Path) -> None:
    """It is said, not counted as 0 J."""
    with pytest.raises(HardwareError, match="virtual machines usually have none"):
        RaplMeter("cpu", tmp_path)


def test_a_package_that_goes_offline_is_unknown(tmp_path: Path) -> None:
    """The others stay known."""
    root = write_files(tmp_path, RAPL)
    meter = RaplMeter("cpu", root)
    shutil.rmtree(root / "sys/class/powercap/intel-rapl:1")
    read = meter.read()
    assert read["package-1"] == read["package-1 dram"] == UNKNOWN
    assert read["package-0"] == Energy(0.0, Quality.COUNTER)


def test_ina3221_has_all_rails_of_an_agx(tmp_path: Path) -> None:
    """They are apart from each other; watts are volts times amperes."""
    root = write_files(tmp_path, AGX_ORIN)
    watts = {label: read() for label, read in rails(root).items()}
    assert watts == pytest.approx({"VDD_GPU_SOC": 8.0, "VDD_CPU_CV": 2.0, "VIN_SYS_5V0": 4.0})
    assert sorted(Ina3221Meter(BOARD, root, period_s=0).read()) == sorted(watts)


def test_power_is_integrated_by_trapezoids() -> None:
    """Between two samples it is taken as linear."""
    now, watts = [0.0], [10.0]
    integrator = Integrator({"rail": lambda: watts[0]}, period_s=0, clock=lambda: now[0])
    now[0], watts[0] = 2.0, 20.0
    assert integrator.read() == {"rail": Energy(30.0, Quality.SAMPLED)}


def test_ina3221_takes_the_whole_board_alone(tmp_path: Path) -> None:
    """A rail for the whole input has the others in it."""
    files = AGX_ORIN | {"sys/class/hwmon/hwmon3/in3_label": "VDD_IN\n"}
    meter = Ina3221Meter(BOARD, write_files(tmp_path, files), period_s=0)
    assert list(meter.read()) == ["VDD_IN"]
    assert meter.read()["VDD_IN"].quality is Quality.SAMPLED


def test_ina3221_of_older_releases(tmp_path: Path) -> None:
    """There the same figures are in files of another driver, in milliwatts."""
    folder = "sys/bus/i2c/drivers/ina3221x/7-0040/iio:device0"
    files = {f"{folder}/rail_name_0": "POM_5V_IN\n", f"{folder}/in_power0_input": "5000\n"}
    assert list(Ina3221Meter(BOARD, write_files(tmp_path, files), period_s=0).read()) == ["POM_5V_IN"]


def test_a_missing_rail_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    root = write_files(tmp_path, AGX_ORIN)
    with pytest.raises(HardwareError, match="no rail VDD_DLA; it has: VDD_CPU_CV, VDD_GPU_SOC, VIN_SYS_5V0"):
        Ina3221Meter(BOARD, root, labels=["VDD_DLA", "VDD_CPU_CV"])
    with pytest.raises(HardwareError, match="no INA3221"):
        Ina3221Meter(BOARD, tmp_path / "other")


def test_a_rail_that_goes_away_is_unknown(tmp_path: Path) -> None:
    """From then on, though it comes back."""
    root = write_files(tmp_path, AGX_ORIN)
    meter = Ina3221Meter(BOARD, root, labels=["VDD_CPU_CV"], period_s=0)
    file = root / "sys/class/hwmon/hwmon3/curr2_input"
    file.unlink()
    assert meter.read() == {"VDD_CPU_CV": UNKNOWN}
    file.write_text("100")
    assert meter.read() == {"VDD_CPU_CV": UNKNOWN}


def test_sampling_goes_on_by_itself(tmp_path: Path) -> None:
    """A thread takes samples between readings, and ends with the meter."""
    root = write_files(tmp_path, AGX_ORIN)
    meter = Ina3221Meter(BOARD, root, period_s=0.01)
    threads = [thread for thread in threading.enumerate() if thread.name == "energy sampling"]
    assert threads
    meter.close()
    assert not any(thread.is_alive() for thread in threads)


def test_nvml_counts_joules() -> None:
    """By the counter, where the card has one."""
    card = FakeCard(energy_mj=7_000)
    meter = NvmlMeter("nvidia-0", FakeNvml(card))
    card.energy_mj += 2_500
    assert meter.name == "NVML counter"
    assert meter.read() == {"card": Energy(2.5, Quality.COUNTER)}


def test_nvml_samples_older_cards() -> None:
    """By its power, where it has no counter; by nothing where it tells neither."""
    card = FakeCard(broken={"GetTotalEnergyConsumption": 3})
    meter = NvmlMeter("nvidia-0", FakeNvml(card), period_s=0)
    assert meter.read()["card"].quality is Quality.SAMPLED
    card.broken["GetPowerUsage"] = 3
    with pytest.raises(HardwareError, match="Not Supported"):
        NvmlMeter("nvidia-0", FakeNvml(card))
    with pytest.raises(HardwareError, match="nvidia-1 does not answer"):
        NvmlMeter("nvidia-1", FakeNvml(card))


def test_a_card_that_falls_off_the_bus_is_unknown() -> None:
    """It is not 0 J, and does not take the others with it."""
    lost, kept = FakeCard(), FakeCard()
    nvml = FakeNvml(lost, kept)
    meters = [NvmlMeter(f"nvidia-{index}", nvml) for index in (0, 1)]
    lost.broken["GetTotalEnergyConsumption"] = 15
    kept.energy_mj = 1000
    assert [meter.read()["card"] for meter in meters] == [UNKNOWN, Energy(1.0, Quality.COUNTER)]


def test_amd_smi_counts_joules() -> None:
    """Ticks times the resolution, by the newer and the older name."""
    counts = [{"energy_accumulator": 1000, "counter_resolution": 15.3}, {"power": 101_000, "counter_resolution": 15.3}]
    smi = types.SimpleNamespace(
        AmdSmiException=OSError,
        amdsmi_init=lambda: None,
        amdsmi_get_processor_handles=lambda: ["card"],
        amdsmi_get_energy_count=lambda _: counts[0],
    )
    meter = AmdSmiMeter("amd-0", smi)
    counts.pop(0)
    assert meter.read()["card"].joules == pytest.approx(100_000 * 15.3e-6)
    with pytest.raises(HardwareError, match="1 GPUs, and no amd-1"):
        AmdSmiMeter("amd-1", smi)


def test_amdgpu_is_sampled(tmp_path: Path) -> None:
    """By the power in the driver's files; one without such files is refused."""
    card = "sys/class/drm/card1/device"
    root = write_files(tmp_path, {f"{card}/vendor": "0x1002\n", f"{card}/hwmon/hwmon5/power1_average": "35000000\n"})
    meter = AmdHwmonMeter("amd-0", root, period_s=0)
    assert meter.read()["card"].quality is Quality.SAMPLED
    (root / f"{card}/hwmon/hwmon5/power1_average").unlink()
    assert meter.read() == {"card": UNKNOWN}
    with pytest.raises(HardwareError, match="amd-0 tells no power"):
        AmdHwmonMeter("amd-0", root)

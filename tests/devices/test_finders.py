"""Devices of every kind, found in files and libraries made up for them."""

from pathlib import Path
from typing import Any

import pytest

from heterosis.devices import Finding, Unseen, amd, coral, cpu, jetson, look, nvidia, openvino, xilinx
from heterosis.devices.findings import Find
from heterosis.terms import Quality
from heterosis.testing.hardware import AGX_ORIN, CPUFREQ, FakeCard, FakeNvml, write_files

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: avx2 amx_int8 sse
"""


def pci(address: str, vendor: int, device: int, kind: int = 0x030000) -> dict[str, str]:
    """Return the files of a PCI function."""
    folder = f"sys/bus/pci/devices/{address}"
    return {
        f"{folder}/vendor": f"{vendor:#06x}\n",
        f"{folder}/device": f"{device:#06x}\n",
        f"{folder}/class": f"{kind:#08x}\n",
    }


def split(found: list[Finding | Unseen]) -> tuple[list[Finding], list[Unseen]]:
    """Tell what was found from what could not be seen."""
    return [each for each in found if isinstance(each, Finding)], [each for each in found if isinstance(each, Unseen)]


def test_cpu_tells_what_decides_its_speed(tmp_path: Path) -> None:
    """Cores, instruction sets for inference, and what sets its clock."""
    ((found,), unseen) = split(list(cpu.find(write_files(tmp_path, CPUFREQ | {"proc/cpuinfo": XEON}))))
    assert not unseen
    assert found.facts == {
        "cores": "1, of which this process may use 1",
        "instruction sets": "avx2, amx_int8",
        "clock": "acpi-cpufreq, governor schedutil, 1200 to 2400 MHz",
    }
    assert found.device.type.quality is Quality.MODELLED


def test_a_board_that_the_catalogue_has_by_name(tmp_path: Path) -> None:
    """A Raspberry Pi's power is that of the catalogue's, and its engines are not bound to those published of it."""
    text = "processor\t: 0\nCPU implementer\t: 0x41\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
    ((found,), _) = split(list(cpu.find(write_files(tmp_path, {"proc/cpuinfo": text}))))
    assert found.device.type.name == "raspberry-pi-4"
    assert found.device.idle_power_w("default") == pytest.approx(2.7)
    assert found.device.type.engines == ()


def test_nvidia_cards() -> None:
    """Names, memory and the range of the power limit; a card that the catalogue lacks has unknown power."""
    cards = FakeNvml(FakeCard(name=b"NVIDIA A10"), FakeCard(broken={"GetName": 15}), FakeCard(name="NVIDIA H200"))
    found, unseen = split(list(nvidia.find(nvml=cards)))
    assert [finding.device.name for finding in found] == ["nvidia-0", "nvidia-2"]
    assert found[0].facts["power limit"] == "150 W, from 100 to 150 W"
    assert found[0].device.memory_bytes == 24 << 30
    assert found[1].device.type.quality is Quality.NONE
    assert "not in the catalogue" in found[1].device.type.source
    assert [each.what for each in unseen] == ["nvidia-1"]


def test_nvidia_card_without_its_library(tmp_path: Path) -> None:
    """What is on the bus and cannot be asked is told, with the reason; other vendors' cards are not ours to tell."""
    root = write_files(tmp_path, pci("0000:01:00.0", 0x10DE, 0x2236) | pci("0000:02:00.0", 0x1234, 1))
    found, (unseen,) = split(list(nvidia.find(root)))
    assert not found
    assert unseen.what == "NVIDIA card at 0000:01:00.0"
    assert "on alone" in unseen.reason


def test_a_driver_that_does_not_answer(tmp_path: Path) -> None:
    """A library without its driver is no crash."""

    class NoDriver(FakeNvml):
        def nvmlInit(self) -> None:  # noqa: N802 - the library's name
            raise self.NVMLError(9)

    root = write_files(tmp_path, pci("0000:01:00.0", 0x10DE, 0x2236))
    _, (unseen,) = split(list(nvidia.find(root, NoDriver())))
    assert "driver does not answer" in unseen.reason


def test_amd_gpus(tmp_path: Path) -> None:
    """In the order of their cards; connectors beside them are none."""
    files = {
        "sys/class/drm/card10/device/vendor": "0x1002\n",
        "sys/class/drm/card10/device/device": "0x740f\n",
        "sys/class/drm/card10/device/mem_info_vram_total": "68702699520\n",
        "sys/class/drm/card2/device/vendor": "0x1002\n",
        "sys/class/drm/card2/device/product_name": "Instinct MI210\n",
        "sys/class/drm/card2/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:43:00.0\nX=1\n",
        "sys/class/drm/card2/device/hwmon/hwmon4/power1_cap": "300000000\n",
        "sys/class/drm/card2-DP-1/device/vendor": "0x1002\n",
        "sys/class/drm/card0/device/vendor": "0x8086\n",
    }
    found, _ = split(list(amd.find(write_files(tmp_path, files))))
    assert [(each.device.name, each.model) for each in found] == [
        ("amd-0", "Instinct MI210"),
        ("amd-1", "AMD GPU 0x740f"),
    ]
    assert found[0].facts == {"driver": "amdgpu", "address": "0000:43:00.0", "power limit": "300 W"}
    assert found[1].device.memory_bytes == 68702699520


def test_amd_gpu_without_its_driver(tmp_path: Path) -> None:
    """It is on the bus, and cannot be used."""
    _, (unseen,) = split(list(amd.find(write_files(tmp_path, pci("0000:43:00.0", 0x1002, 0x740F, 0x120000)))))
    assert unseen.reason == "its driver (amdgpu) is not loaded"


def test_jetson(tmp_path: Path) -> None:
    """The board by its device tree, with the catalogue's power, its release, and its modes."""
    root = write_files(tmp_path, AGX_ORIN)
    ((found,), unseen) = split(list(jetson.find(root)))
    assert not unseen
    assert (found.device.name, found.device.type.name) == ("jetson", "agx-orin")
    assert found.facts == {
        "Jetson Linux": "R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic",
        "power mode": "MODE_30W",
    }
    assert found.modes == ("MAXN", "MODE_15W", "MODE_30W")
    (root / "etc/nvpmodel.conf").unlink()
    assert split(list(jetson.find(root)))[1][0].what.startswith("power modes of NVIDIA Jetson")


def test_openvino_devices(tmp_path: Path) -> None:
    """GPUs and NPUs; the CPU is found elsewhere, and is not a device twice."""

    class Core:
        available_devices = ("CPU", "GPU.0", "NPU")

        def get_property(self, device: str, name: str) -> str:
            return f"{device} {name}"

    found, unseen = split(list(openvino.find(tmp_path, Core())))
    assert [(each.device.name, each.device.type.kind) for each in found] == [
        ("openvino-gpu-0", "gpu"),
        ("openvino-npu", "npu"),
    ]
    assert not unseen


def test_intel_chips_without_their_driver(tmp_path: Path) -> None:
    """On the bus, and not seen by OpenVINO."""

    class Core:
        available_devices = ("CPU",)

    root = write_files(tmp_path, pci("0000:00:02.0", 0x8086, 0x7D55))
    _, (unseen,) = split(list(openvino.find(root, Core())))
    assert "driver" in unseen.reason


def test_coral_sticks_and_cards(tmp_path: Path) -> None:
    """By both names of a stick; one that this user may not write to says what to do."""
    files = {
        "sys/bus/usb/devices/2-1/idVendor": "18d1\n",
        "sys/bus/usb/devices/2-1/idProduct": "9302\n",
        "sys/bus/usb/devices/2-1/busnum": "2\n",
        "sys/bus/usb/devices/2-1/devnum": "7\n",
        "sys/bus/usb/devices/1-4/idVendor": "1a6e\n",
        "sys/bus/usb/devices/1-4/idProduct": "089a\n",
        "sys/bus/usb/devices/1-4/busnum": "1\n",
        "sys/bus/usb/devices/1-4/devnum": "3\n",
        "sys/bus/usb/devices/1-5/idVendor": "046d\n",
        "sys/bus/usb/devices/1-5/idProduct": "c31c\n",
        "dev/bus/usb/002/007": "",
    } | pci("0000:05:00.0", 0x1AC1, 0x089A, 0x0880FF)
    found, (unseen,) = split(list(coral.find(write_files(tmp_path, files))))
    assert [each.model for each in found] == ["Coral USB Accelerator"] * 2 + ["Coral PCIe Accelerator"]
    assert found[0].device.type.name == "coral"
    assert found[2].facts["driver"].startswith("none")
    assert unseen.what == "coral-0"
    assert "plugdev" in unseen.reason


def test_alveo_cards(tmp_path: Path) -> None:
    """Two functions are one card; its shell names it, else its PCI id does, and one that neither names is told."""
    files = (
        pci("0000:65:00.0", 0x10EE, 0x500C, 0x120000)
        | pci("0000:65:00.1", 0x10EE, 0x500D, 0x120000)
        | {"sys/bus/pci/devices/0000:65:00.1/rom.u.12/VBNV": "xilinx_u280_xdma_201920_3\n"}
        | pci("0000:b3:00.0", 0x10EE, 0x5020, 0x120000)
        | pci("0000:c1:00.0", 0x10EE, 0x9999, 0x120000)
    )
    found, unseen = split(list(xilinx.find(write_files(tmp_path, files))))
    assert [(each.device.name, each.model, each.device.type.name) for each in found] == [
        ("xilinx-0", "Alveo U280", "u280"),
        ("xilinx-1", "Alveo U50", "alveo-u50"),
    ]
    assert found[0].facts["shell"] == "xilinx_u280_xdma_201920_3"
    assert [each.what for each in unseen] == ["the shell of xilinx-1", "Xilinx card at 0000:c1:00"]


def test_zynq_board(tmp_path: Path) -> None:
    """By the device tree."""
    files = {
        "proc/device-tree/model": "ZynqMP ZCU104 RevC\0",
        "proc/device-tree/compatible": "xlnx,zynqmp-zcu104-revC\0xlnx,zynqmp-zcu104\0xlnx,zynqmp\0",
    }
    ((found,), _) = split(list(xilinx.find(write_files(tmp_path, files))))
    assert (found.device.name, found.device.type.name) == ("fpga", "zcu104")


def test_a_whole_board(tmp_path: Path) -> None:
    """All kinds together, each device once, under the machine's name."""
    root = write_files(tmp_path, AGX_ORIN | {"proc/cpuinfo": XEON, "proc/sys/kernel/hostname": "edge-7\n"})
    machine = look(root)
    (node,) = machine.nodes
    assert node.name == "edge-7"
    assert [device.name for device in node.devices] == ["cpu", "jetson"]


def test_finders_may_be_chosen(tmp_path: Path) -> None:
    """Only those asked for look."""

    def broken(root: Path) -> Any:
        yield Unseen(what=str(root), reason="it is dark")

    finders: dict[str, Find] = {"dark": broken}
    assert look(tmp_path, finders).unseen == (Unseen(what=str(tmp_path), reason="it is dark"),)

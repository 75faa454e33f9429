"""AMD Xilinx: Alveo cards on the PCI bus, and Zynq boards by the device tree."""

from collections.abc import Iterator
from pathlib import Path

from heterosis.catalogue import match_type
from heterosis.devices.cpu import memory_of_machine
from heterosis.devices.device_tree import board
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.pci import XILINX, PciDevice, pci
from heterosis.devices.sysfs import ROOT, inside, text
from heterosis.terms import Device

ALVEO = {0x5000: "U200", 0x5004: "U250", 0x5008: "U280", 0x500C: "U280", 0x5020: "U50"}
"""By the PCI id of the management function; that of the user function is the next number (XRT, xocl_devices.h)."""


def find(root: Path = ROOT) -> Iterator[Finding | Unseen]:
    """Return the cards, and the board where this is one."""
    cards: dict[str, list[PciDevice]] = {}
    for function in pci(root, XILINX):
        cards.setdefault(function.address.rpartition(".")[0], []).append(function)
    for index, (address, functions) in enumerate(cards.items()):
        yield from _card(f"xilinx-{index}", address, functions)
    model, compatible = board(root)
    if any(name.startswith(("xlnx,zynqmp", "xlnx,versal")) for name in compatible):
        dpus = len(list(inside(root / "proc/device-tree", "**/dpu*")))
        facts = {"runtime": "zocl" if (root / "sys/bus/platform/drivers/zocl-drm").exists() else "no zocl driver"}
        yield Finding(
            device=Device(name="fpga", type=match_type(model, "fpga"), memory_bytes=memory_of_machine(root)),
            model=model,
            facts=facts | ({"DPU nodes": str(dpus)} if dpus else {}),
        )


def _card(name: str, address: str, functions: list[PciDevice]) -> Iterator[Finding | Unseen]:
    shells = [text(file) for function in functions for file in inside(function.folder, "rom*/VBNV")]
    known = [ALVEO[function.device & ~1] for function in functions if function.device & ~1 in ALVEO]
    shell = next(iter(shells), "")  # such as xilinx_u280_xdma_201920_3
    card = shell.split("_")[1].upper() if shell.count("_") > 1 else next(iter(known), "")
    if not card:
        yield Unseen(what=f"Xilinx card at {address}", reason="neither its PCI id nor its shell says which it is")
        return
    model = f"Alveo {card}"
    yield Finding(
        device=Device(name=name, type=match_type(model, "fpga")),
        model=model,
        facts={"address": address} | ({"shell": shell} if shell else {}),
    )
    if not shell:
        yield Unseen(what=f"the shell of {name}", reason="the driver of XRT (xocl) is not loaded")

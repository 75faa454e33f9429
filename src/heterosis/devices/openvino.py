"""What OpenVINO can run on beside the CPU: Intel's GPUs and NPUs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heterosis.catalogue import match_type
from heterosis.devices.findings import Finding, Unseen
from heterosis.devices.pci import DISPLAY, INTEL, PROCESSING, pci
from heterosis.devices.sysfs import ROOT
from heterosis.terms import Device

PREFIX = "openvino-"
KINDS = {"GPU": "gpu", "NPU": "npu"}


def find(root: Path = ROOT, core: Any = None) -> Iterator[Finding | Unseen]:
    """Return the devices. ``core`` stands in for OpenVINO's, which is asked only about this machine."""
    chips = [chip for chip in pci(root, INTEL) if chip.kind in {DISPLAY, PROCESSING}]
    if core is None and root == ROOT:
        try:
            import openvino
        except ImportError:
            why = "OpenVINO is not installed: pip install 'heterosis[openvino]'"
        else:
            core = openvino.Core()
    else:
        why = "OpenVINO answers for the machine that this runs on alone"
    if core is None:
        for chip in chips:
            yield Unseen(what=f"Intel GPU or NPU at {chip.address}", reason=why)
        return
    names = [name for name in core.available_devices if name.split(".")[0] in KINDS]
    for name in names:
        model = core.get_property(name, "FULL_DEVICE_NAME")
        kind = KINDS[name.split(".")[0]]
        device = Device(name=f"{PREFIX}{name.lower().replace('.', '-')}", type=match_type(model, kind))
        yield Finding(device=device, model=model, facts={"OpenVINO": name})
    if chips and not names:
        for chip in chips:
            reason = "OpenVINO does not see it: its driver (intel-opencl-icd, or intel_vpu) is missing"
            yield Unseen(what=f"Intel GPU or NPU at {chip.address}", reason=reason)

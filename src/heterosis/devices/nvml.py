"""NVIDIA's management library, opened where it is there."""

from types import ModuleType
from typing import Any

from heterosis.terms.errors import HardwareError


def open_nvml(library: Any = None) -> Any:
    """Return the module `pynvml`, with the library open. Raise HardwareError, saying what helps, where it cannot be.

    ``library`` stands in for the module.
    """
    nvml = _module() if library is None else library
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise HardwareError(f"NVIDIA's driver does not answer: {error}") from None
    return nvml


def told(value: bytes | str) -> str:
    """Decode a name: older releases of the library give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _module() -> ModuleType:
    try:
        import pynvml
    except ImportError:
        raise HardwareError("NVIDIA GPUs need the package nvidia-ml-py: pip install 'heterosis[nvidia]'") from None
    module: ModuleType = pynvml
    return module

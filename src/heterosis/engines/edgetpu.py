"""Coral's Edge TPU: runs ``.tflite`` files that ``edgetpu_compiler`` made, on LiteRT with the device's own library.

That is what pycoral's ``make_interpreter`` does, too; pycoral itself is built for no Python that we run on.
"""

import ctypes
from collections.abc import Sequence

from heterosis.engines.litert import LitertEngine
from heterosis.terms.errors import EngineError

LIBRARY = "libedgetpu.so.1"


class EdgetpuEngine(LitertEngine):
    """Loads compiled models; what the compiler left to the CPU runs there."""

    name = "edgetpu"

    def _delegates(self) -> Sequence[object]:
        from ai_edge_litert.interpreter import load_delegate

        try:
            ctypes.CDLL(LIBRARY)  # LiteRT leaves a delegate that cannot be taken down where there is no such library
            return [load_delegate(LIBRARY)]
        except (OSError, ValueError) as error:
            raise EngineError(
                f"no Edge TPU is usable here ({error or 'the library found none'}); plug one in, and install {LIBRARY} "
                "(Debian's package libedgetpu1-std, from Coral's repository)"
            ) from error

"""Keeps engines from calling home: what is served here is nobody else's business.

ONNX Runtime (from 1.31 on) and OpenVINO report usage to their makers, from threads of their own; OpenVINO's reporting
forks, which can hang the process at its end. Both have to be told before they are first imported.
"""

import os
import sys


def decline() -> None:
    """Turn usage reports off, unless the user's environment says otherwise."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # None has the import fail, as if the package were not installed; OpenVINO then goes without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

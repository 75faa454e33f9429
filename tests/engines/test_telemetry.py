"""Engines report nothing to their makers."""

import os
import subprocess
import sys
from pathlib import Path

LOAD_BOTH = """
import sys, threading
from heterosis.engines import ENGINES
import onnxruntime, openvino
openvino.Core()
loaded = sys.modules.get("openvino_telemetry")
print("reports" if loaded or threading.active_count() > 1 else "silent")
"""


def test_no_engine_leaves_a_trace_or_starts_a_reporter(tmp_path: Path) -> None:
    """Importing both leaves the user's home empty, and no thread behind."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-c", LOAD_BOTH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "silent"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

"""What a worker's process consists of."""

import subprocess
import sys

HEAVY = ("asyncio", "hashlib", "numpy.random", "onnx", "scipy", "ssl", "starlette", "uvloop")


def test_a_worker_loads_nothing_that_it_has_no_use_for() -> None:
    """There is one for every instance, so each has to be small: what only the gateway needs stays there."""
    program = f"import sys, heterosis.serving.host; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.split() == []

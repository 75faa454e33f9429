"""BentoML: an uploaded file for raw bytes, or JSON; one worker, the model in it."""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from engine import MAX_BATCH, PORT, Engine, item

batching = {"batchable": True, "max_batch_size": MAX_BATCH, "max_latency_ms": 60000} if MAX_BATCH > 1 else {}


@bentoml.service(workers=1, traffic={"timeout": 60})
class Net:
    def __init__(self):
        self.engine = Engine()

    @bentoml.api(route="/raw")
    def raw(self, data: Path) -> bytes:
        return self.engine(item(data.read_bytes())[np.newaxis])[0].tobytes()

    @bentoml.api(route="/json", **batching)
    def json(self, data: np.ndarray) -> np.ndarray:
        return self.engine(data.astype(np.float32))


if __name__ == "__main__":
    folder = str(Path(__file__).parent)
    command = ["-m", "bentoml", "serve", "bentoml_server:Net", "--working-dir", folder, "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, *command, "--port", str(PORT)])  # noqa: S606

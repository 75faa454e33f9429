"""What all the programs here share: their options, and the engine as every one of them runs it.

The options ride in the environment: some of these servers read the command line themselves, or start workers anew.
"""

import os

import numpy as np

MODEL = os.environ.get("PEER_MODEL", "")
PORT = int(os.environ.get("PEER_PORT", "8000"))
GRPC_PORT = int(os.environ.get("PEER_GRPC_PORT", "8001"))
THREADS = int(os.environ.get("PEER_THREADS", "1"))
MAX_BATCH = int(os.environ.get("PEER_MAX_BATCH", "1"))
WAIT_MS = float(os.environ.get("PEER_WAIT_MS", "0"))
SHAPE = (3, 96, 96)
WIDTH = 64


class Engine:
    """The model, loaded."""

    def __init__(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
        self(np.zeros((1, *SHAPE), np.float32))

    def __call__(self, batch):
        """Run a batch: N x 3 x 96 x 96 in, N x 64 out."""
        return self._session.run(None, {"x": batch})[0]


def item(data):
    """One tensor of its bytes; no copy."""
    return np.frombuffer(data, np.float32).reshape(SHAPE)

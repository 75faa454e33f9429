"""mosec: a worker for raw bytes and one for JSON, each behind a path of its own."""

import json
import sys

import numpy as np
from engine import MAX_BATCH, PORT, WAIT_MS, Engine, item
from mosec import Runtime, Server, Worker


class Raw(Worker):
    def __init__(self):
        self.engine = Engine()

    def deserialize(self, data):
        return item(data)

    def forward(self, data):
        if MAX_BATCH == 1:
            return self.engine(data[np.newaxis])[0]
        return list(self.engine(np.stack(data)))

    def serialize(self, data):
        return data.tobytes()


class Json(Raw):
    def deserialize(self, data):
        return np.array(json.loads(data)["data"], np.float32)

    def serialize(self, data):
        return json.dumps(data.tolist()).encode()


if __name__ == "__main__":
    sys.argv[1:] = ["--port", str(PORT), "--address", "127.0.0.1", "--timeout", "60000", "--log-level", "warning"]
    server = Server()
    batching = {"max_batch_size": MAX_BATCH, "max_wait_time": int(WAIT_MS)} if MAX_BATCH > 1 else {}
    server.register_runtime({"/raw": [Runtime(Raw, **batching)], "/json": [Runtime(Json, **batching)]})
    server.run()

"""LitServe: an uploaded file for raw bytes, or JSON; its answers are JSON."""

import litserve as ls
import numpy as np
from engine import MAX_BATCH, PORT, WAIT_MS, Engine, item


class Api(ls.LitAPI):
    def setup(self, device):
        self.engine = Engine()

    def decode_request(self, request):
        data = request["data"]
        if isinstance(data, list):
            return np.array(data, np.float32)
        return item(data.file.read())

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, x):
        return self.engine(x if MAX_BATCH > 1 else x[np.newaxis])

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"output": np.ravel(output).tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_BATCH, batch_timeout=WAIT_MS / 1e3)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")

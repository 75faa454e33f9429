"""KServe's Python server: the Open Inference Protocol over HTTP (JSON and binary) and gRPC. It does not batch."""

import sys

import kserve
from engine import GRPC_PORT, PORT, Engine
from kserve.utils.utils import get_predict_response


class Net(kserve.Model):
    def __init__(self):
        super().__init__("net")
        self.engine = None
        self.load()

    def load(self):
        self.engine = Engine()
        self.ready = True
        return True

    async def predict(self, payload, headers=None, response_headers=None):
        return get_predict_response(payload, self.engine(payload.inputs[0].as_numpy()), self.name)


if __name__ == "__main__":
    sys.argv[1:] = []
    kserve.ModelServer(http_port=PORT, grpc_port=GRPC_PORT, workers=1, access_log_format=None).start([Net()])

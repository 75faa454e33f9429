"""MLServer: the Open Inference Protocol over HTTP (JSON) and gRPC, the model in the same process.

Its worker processes do not start under the release of uvloop that pip installs with it.
"""

import asyncio

from engine import GRPC_PORT, MAX_BATCH, PORT, WAIT_MS, Engine
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Net(MLModel):
    async def load(self):
        self.engine = Engine()
        return True

    async def predict(self, payload):
        output = self.engine(self.decode(payload.inputs[0], default_codec=NumpyCodec))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", output)])


async def main():
    settings = Settings(
        host="127.0.0.1", http_port=PORT, grpc_port=GRPC_PORT, metrics_endpoint=None, parallel_workers=0, debug=False
    )
    server = MLServer(settings)
    batching = {"max_batch_size": MAX_BATCH, "max_batch_time": WAIT_MS / 1e3} if MAX_BATCH > 1 else {}
    await server.start([ModelSettings(name="net", implementation=Net, **batching)])


if __name__ == "__main__":
    asyncio.run(main())

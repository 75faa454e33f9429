"""Ray Serve: a deployment with one replica that reads bytes or JSON from the request."""

import logging
import time

import numpy as np
import ray
from engine import MAX_BATCH, PORT, WAIT_MS, Engine, item
from ray import serve
from starlette.responses import JSONResponse, Response


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Net:
    def __init__(self):
        self.engine = Engine()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_MS / 1e3)
    async def batched(self, tensors):
        return list(self.engine(np.stack(tensors)))

    async def __call__(self, request):
        raw = request.url.path == "/raw"
        tensor = item(await request.body()) if raw else np.array((await request.json())["data"], np.float32)
        output = await self.batched(tensor) if MAX_BATCH > 1 else self.engine(tensor[np.newaxis])[0]
        return Response(output.tobytes()) if raw else JSONResponse(output.tolist())


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Net.bind(), route_prefix="/")
    while True:
        time.sleep(60)

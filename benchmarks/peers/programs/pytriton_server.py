"""PyTriton: Triton Inference Server in front of a Python callable."""

import numpy as np
from engine import GRPC_PORT, MAX_BATCH, PORT, SHAPE, WAIT_MS, WIDTH, Engine
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

if __name__ == "__main__":
    engine = Engine()

    @batch
    def infer(x):
        return {"y": engine(x)}

    batcher = DynamicBatcher(max_queue_delay_microseconds=round(WAIT_MS * 1e3))
    config = TritonConfig(
        http_address="127.0.0.1", http_port=PORT, grpc_address="127.0.0.1", grpc_port=GRPC_PORT, allow_metrics=False
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="net",
            infer_func=infer,
            inputs=[Tensor(name="x", dtype=np.float32, shape=SHAPE)],
            outputs=[Tensor(name="y", dtype=np.float32, shape=(WIDTH,))],
            config=ModelConfig(max_batch_size=MAX_BATCH, batcher=batcher),
        )
        triton.serve()

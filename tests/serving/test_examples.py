"""The OCR example, served: other people's client gets the same text as a direct call of the function."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton

from heterosis.pipeline import load_pipeline
from heterosis.testing import make_plan, make_variant
from tests.serving.conftest import Serve

OCR = Path(__file__).parents[2] / "examples" / "ocr" / "pipeline.py"


@pytest.mark.parametrize("binary", [True, False])
async def test_an_unmodified_client_reads_the_same_text(serving: Serve, *, binary: bool) -> None:
    """Encoded as PNG in binary form, as pixels in JSON: the text is that of the function, called here."""
    pipeline = load_pipeline(OCR)
    (edge,) = pipeline.signature.inputs
    page = edge.load(pipeline.load_samples()[0].inputs["page"])[:240]
    direct = await pipeline(page)
    variants = {
        stage.name: make_variant(
            stage.name,
            model=model,
            engine="onnxruntime",
            artifact=str(stage.artifact(model)),
        )
        for stage in pipeline.stages
        for model in [next(iter(stage.models))]
    }
    plan = make_plan(
        {"detect": 100.0, "orient": 10.0, "recognise": 40.0},
        slots=1,
        slo_ms=60_000,
        variants=variants,
        pipeline=pipeline.name,
    )

    def ask(url: str) -> list[str]:
        client = triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60)
        tensor: np.ndarray[Any, Any] = edge.encode(page) if binary else page
        given = triton.InferInput("page", list(tensor.shape), "BYTES" if binary else "UINT8")
        given.set_data_from_numpy(tensor, binary_data=binary)
        output = triton.InferRequestedOutput("output", binary_data=binary)
        lines = client.infer("ocr", [given], outputs=[output]).as_numpy("output")
        return [line.decode() if isinstance(line, bytes) else line for line in lines]

    async with serving(plan, target=str(OCR)) as server:
        served = await asyncio.to_thread(ask, server.url)
    assert len(direct) >= 2
    assert served == direct

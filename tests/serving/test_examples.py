"""The OCR example, served: other people's client gets the same text as a direct call of the function."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from heterosis.pipeline import load_pipeline
from heterosis.terms import Plan
from heterosis.testing import make_plan, make_variant
from tests.serving.conftest import Serve

OCR = Path(__file__).parents[2] / "examples" / "ocr" / "pipeline.py"


PIPELINE = load_pipeline(OCR)
(EDGE,) = PIPELINE.signature.inputs


def reference_plan() -> Plan:
    """One instance of each stage, with the models as they come."""
    variants = {}
    for stage in PIPELINE.stages:
        model = next(iter(stage.models))
        artifact = str(stage.artifact(model))
        variants[stage.name] = make_variant(stage.name, model=model, engine="onnxruntime", artifact=artifact)
    times = {"detect": 100.0, "orient": 10.0, "recognise": 40.0}
    return make_plan(times, slots=1, slo_ms=60_000, variants=variants, pipeline=PIPELINE.name)


def ask(url: str, tensor: np.ndarray[Any, Any], *, binary: bool) -> list[str]:
    """Send one page with Triton's client; return the lines."""
    client = triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60)
    given = triton.InferInput("page", list(tensor.shape), "BYTES" if tensor.dtype == object else "UINT8")
    given.set_data_from_numpy(tensor, binary_data=binary)
    output = triton.InferRequestedOutput("output", binary_data=binary)
    lines = client.infer("ocr", [given], outputs=[output]).as_numpy("output")
    return [line.decode() if isinstance(line, bytes) else line for line in lines]


async def test_an_unmodified_client_reads_the_same_text(serving: Serve) -> None:
    """Encoded as PNG in binary form, as pixels in JSON: the text is that of the function, called here."""
    page = EDGE.load(PIPELINE.load_samples()[0].inputs["page"])[:240]
    direct = await PIPELINE(page)
    async with serving(reference_plan(), target=str(OCR)) as server:
        from_binary = await asyncio.to_thread(ask, server.url, EDGE.encode(page), binary=True)
        from_json = await asyncio.to_thread(ask, server.url, page, binary=False)
        with pytest.raises(InferenceServerException, match="input 'page' cannot be decoded as an image"):
            await asyncio.to_thread(ask, server.url, EDGE.encode(b"no image"), binary=True)
    assert len(direct) >= 2
    assert from_binary == from_json == direct

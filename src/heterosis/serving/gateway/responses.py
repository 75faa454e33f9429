"""What a pipeline returned, as the protocol's answer."""

import time

from heterosis.serving.models import Model
from heterosis.serving.protocol import InferRequest, InferResponse
from heterosis.terms.errors import StageError


def response_of(model: Model, asked: InferRequest, result: object) -> InferResponse:
    """Encode a result. Raise StageError where it does not fit what the pipeline says that it returns."""
    began = time.monotonic()
    try:
        outputs = model.signature.encode(result)
    except (TypeError, ValueError, OverflowError) as error:
        raise StageError(f"pipeline {model.name!r} returned what does not fit its annotation: {error}") from error
    model.statistics.encode.add(time.monotonic() - began)
    return InferResponse(
        model_name=model.name,
        model_version=model.version,
        id=asked.id,
        outputs=outputs,
        parameters={"emulated": True} if model.emulated else {},
    )

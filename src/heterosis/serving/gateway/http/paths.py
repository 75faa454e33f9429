"""Paths of models, with and without a version."""

from collections.abc import Callable

from heterosis.serving.http import Answer, Operation, Route

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"


def of_model(method: str, noun: str, handler: Callable[..., Answer], operation: Operation) -> list[Route]:
    """Route ``noun`` of a model, and of a version of it, to one handler."""
    return [Route(method, prefix + noun, handler, operation) for prefix in (MODEL, VERSION)]

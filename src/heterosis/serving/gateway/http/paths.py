"""Paths of models, with and without a version."""

from collections.abc import Awaitable, Callable

from heterosis.serving.http import HttpResponse, Route

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"


def of_model(method: str, noun: str, handler: Callable[..., Awaitable[HttpResponse]]) -> list[Route]:
    """Route ``noun`` of a model, and of a version of it, to one handler."""
    return [Route(method, prefix + noun, handler) for prefix in (MODEL, VERSION)]

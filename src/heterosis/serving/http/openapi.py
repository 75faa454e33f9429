"""A table of routes as an OpenAPI document: what is written down there is what is served here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from heterosis import __version__
from heterosis.serving.http.messages import JSON
from heterosis.serving.http.routes import Operation, Route
from heterosis.serving.protocol.messages import ErrorBody

BINARY = "application/octet-stream"
_COMPONENTS = "#/components/schemas/{name}"
_REASONS = {
    400: "The request cannot be served as it is; the message names the field",
    404: "There is no such model, version or region, or the server does not tell of it",
    413: "The body is past the size limit",
    429: "Refused: the admitted work leaves no time before the deadline",
    500: "A stage of the model failed on this request",
    503: "The server or the model is starting or stopping, or cannot be loaded",
    504: "The deadline passed, or could no longer be met",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before asking again", "schema": {"type": "integer"}}}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Describe all routes."""
    known = list(routes)
    types = {each for route in known for each in (route.operation.body, route.operation.answer) if each is not None}
    ordered = [ErrorBody, *sorted(types, key=str)]
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_COMPONENTS)
    schema_of = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "heterosis",
            "version": __version__,
            "description": "The Open Inference Protocol (KServe v2), with the extensions that Triton's clients use.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    operation = route.operation
    names = re.findall(r"\{(\w+)\}", route.path)
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "responses": {"200": _answer(operation, schema_of)},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]
    parameters += [{"name": name, "in": "header", "schema": {"type": "string"}} for name in operation.headers]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"content": _content(operation, schema_of[operation.body])}
    statuses = {*operation.errors, *((404,) if names else ())}
    if route.method == "POST":
        statuses |= {400, 413}
    for status in sorted(statuses):
        found["responses"][str(status)] = {
            "description": _REASONS[status],
            "content": {JSON: {"schema": schema_of[ErrorBody]}},
            **({"headers": _RETRY_AFTER} if status in {429, 503} else {}),
        }
    return found


def _answer(operation: Operation, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    if operation.media is None:
        return {"description": "Yes, or done"}
    if operation.answer is None:
        return {"description": "What was asked for", "content": {operation.media: {"schema": {"type": "string"}}}}
    return {"description": "What was asked for", "content": _content(operation, schema_of[operation.answer])}


def _content(operation: Operation, schema: Any) -> dict[str, Any]:
    content = {JSON: {"schema": schema}}
    if operation.binary:
        content[BINARY] = {"schema": {"type": "string", "format": "binary"}}
    return content

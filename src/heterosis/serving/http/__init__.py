"""HTTP as the gateway sees it: requests and answers as values, a table of routes, and what serves them on a socket."""

from heterosis.serving.http.messages import (
    Answer,
    Body,
    Handler,
    HttpRequest,
    HttpResponse,
    Pending,
    json_response,
    parse_json,
)
from heterosis.serving.http.routes import Operation, Route, RouteTable
from heterosis.serving.http.server import HttpServer

__all__ = [
    "Answer",
    "Body",
    "Handler",
    "HttpRequest",
    "HttpResponse",
    "HttpServer",
    "Operation",
    "Pending",
    "Route",
    "RouteTable",
    "json_response",
    "parse_json",
]

"""The gateway over HTTP: routes by noun."""

from heterosis.serving.gateway.core import Gateway
from heterosis.serving.gateway.http.docs import Docs
from heterosis.serving.gateway.http.generate import Generate
from heterosis.serving.gateway.http.health import Health
from heterosis.serving.gateway.http.infer import Infer
from heterosis.serving.gateway.http.metadata import Metadata
from heterosis.serving.gateway.http.metrics import Scrape
from heterosis.serving.gateway.http.repository import Repository
from heterosis.serving.gateway.http.shared_memory import SharedMemory
from heterosis.serving.gateway.http.statistics import Statistics
from heterosis.serving.gateway.http.status import Status
from heterosis.serving.http import RouteTable

__all__ = ["http_handler"]

NOUNS = (Health, Metadata, Infer, Generate, Statistics, Repository, SharedMemory, Scrape, Status)


def http_handler(gateway: Gateway) -> RouteTable:
    """Everything that a gateway answers over HTTP."""
    routes = [route for noun in NOUNS for route in noun(gateway).routes()]
    return RouteTable([*routes, *Docs(routes).routes()])

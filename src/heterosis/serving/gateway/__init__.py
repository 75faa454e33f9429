"""The gateway: the Open Inference Protocol in front of the router. One core, and a front end for each transport."""

from heterosis.serving.gateway.core import VERSION, Gateway
from heterosis.serving.gateway.http import http_handler

__all__ = ["VERSION", "Gateway", "http_handler"]

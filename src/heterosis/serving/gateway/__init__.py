"""The gateway: the Open Inference Protocol in front of the models. One core, and a front end for each transport."""

from heterosis.serving.gateway.core import NAME, Gateway
from heterosis.serving.gateway.http import http_handler

__all__ = ["NAME", "Gateway", "http_handler"]

"""The gateway: the Open Inference Protocol in front of the models. One core, and a front end for each transport."""

from heterosis.serving.gateway.core import MAX_BODY_BYTES, NAME, Gateway
from heterosis.serving.gateway.http import http_handler

__all__ = ["MAX_BODY_BYTES", "NAME", "Gateway", "http_handler"]

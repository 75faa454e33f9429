"""A typed client of a server that speaks the Open Inference Protocol."""

from heterosis.client.client import Client
from heterosis.client.errors import UnreachableError

__all__ = ["Client", "UnreachableError"]

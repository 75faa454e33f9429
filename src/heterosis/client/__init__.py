"""A typed client of a server that speaks the Open Inference Protocol."""

from heterosis.client.client import Client

__all__ = ["Client"]

"""A typed client of a server that speaks the Open Inference Protocol."""

from heterosis.client.blocking import BlockingClient
from heterosis.client.client import Client
from heterosis.client.errors import BrokenError, UnreachableError
from heterosis.client.grpc import GrpcClient
from heterosis.client.retrying import Retry

__all__ = ["BlockingClient", "BrokenError", "Client", "GrpcClient", "Retry", "UnreachableError"]

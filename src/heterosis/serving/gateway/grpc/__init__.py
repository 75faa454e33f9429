"""The gateway over gRPC: methods by noun, and the server that carries them."""

from heterosis.serving.gateway.grpc.server import GrpcServer

__all__ = ["GrpcServer"]

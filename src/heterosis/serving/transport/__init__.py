"""The wire between a router and its workers: framed messages over sockets, the same on one host and across hosts.

A message is a MessagePack header and any number of value frames (`serving.values`). On one host, large frames lie in
memory that the router shares with its workers, and only their place is sent. Nothing is pickled. A worker is nobody
until it has said `Hello` with the token that it was started with. The router's end is in `hub`.
"""

from heterosis.serving.transport.link import Link, LinkEndedError
from heterosis.serving.transport.memory import SharedMemory

__all__ = ["Link", "LinkEndedError", "SharedMemory"]

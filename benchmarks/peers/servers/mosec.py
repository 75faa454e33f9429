"""mosec: a Rust front, and Python workers over Unix sockets."""

from benchmarks.peers.payloads import plain_json, raw
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="mosec",
    packages=("mosec==0.9.8", *ENGINE),
    forms={"binary": raw("/raw"), "json": plain_json("/json")},
)

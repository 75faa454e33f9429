"""Ray Serve: a proxy, a controller and a replica, over Ray's object store."""

from benchmarks.peers.payloads import plain_json, raw
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="ray",
    packages=("ray[serve]==2.60.0", *ENGINE),
    forms={"binary": raw("/raw"), "json": plain_json("/json")},
    start_seconds=180.0,
)

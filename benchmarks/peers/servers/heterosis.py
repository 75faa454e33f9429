"""heterosis itself, from this source tree: the Open Inference Protocol, the model file in a worker process."""

from benchmarks.peers.payloads import oip_binary, oip_grpc, oip_json
from benchmarks.peers.peer import Peer

PEER = Peer(
    name="heterosis",
    packages=(),
    forms={"binary": oip_binary("net"), "json": oip_json("net"), "grpc": oip_grpc("net")},
)

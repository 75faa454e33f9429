"""MLServer (Seldon): FastAPI and grpc.aio, the model in the same process. It does not speak the binary extension."""

from benchmarks.peers.payloads import oip_grpc, oip_json
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="mlserver",
    packages=("mlserver==1.7.1", *ENGINE),
    forms={"json": oip_json("net"), "grpc": oip_grpc("net")},
)

"""KServe's Python server: FastAPI and grpc.aio, the model in the same process."""

from benchmarks.peers.payloads import oip_binary, oip_grpc, oip_json
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="kserve",
    packages=("kserve==0.21.0", *ENGINE),
    forms={"binary": oip_binary("net", "output-0"), "json": oip_json("net"), "grpc": oip_grpc("net")},
    batched=(),
)

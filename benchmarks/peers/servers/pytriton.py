"""PyTriton: Triton Inference Server, its binary as the wheel brings it, in front of a Python callable."""

from benchmarks.peers.payloads import oip_binary, oip_grpc, oip_json
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="pytriton",
    packages=("nvidia-pytriton==0.7.0", *ENGINE),
    forms={"binary": oip_binary("net"), "json": oip_json("net"), "grpc": oip_grpc("net")},
)

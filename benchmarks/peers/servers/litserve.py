"""LitServe: FastAPI in front, workers over queues of multiprocessing. Bytes are sent to it as an uploaded file."""

from benchmarks.peers.payloads import multipart, plain_json
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="litserve",
    packages=("litserve==0.2.19", "python-multipart==0.0.20", *ENGINE),
    forms={"binary": multipart("/predict"), "json": plain_json("/predict")},
)

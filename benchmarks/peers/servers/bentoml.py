"""BentoML: a Starlette service; bytes are sent to it as an uploaded file, and batched across requests is JSON alone."""

from benchmarks.peers.payloads import multipart, plain_json
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="bentoml",
    packages=("bentoml==1.4.40", *ENGINE),
    forms={"binary": multipart("/raw", raw_out=True), "json": plain_json("/json", batch_axis=True)},
    batched=("json",),
)

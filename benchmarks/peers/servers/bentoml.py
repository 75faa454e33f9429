"""BentoML: a Starlette service; its own batching for JSON."""

from benchmarks.peers.payloads import plain_json, raw
from benchmarks.peers.peer import ENGINE, Peer

PEER = Peer(
    name="bentoml",
    packages=("bentoml==1.4.40", *ENGINE),
    forms={"binary": raw("/raw"), "json": plain_json("/json", batch_axis=True)},
    batched=("json",),
)

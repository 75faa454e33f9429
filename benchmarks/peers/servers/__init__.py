"""The servers that we compare with, by name."""

from benchmarks.peers.peer import Peer
from benchmarks.peers.servers import bentoml, heterosis, kserve, litserve, mlserver, mosec, pytriton, ray

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        heterosis.PEER,
        mosec.PEER,
        pytriton.PEER,
        kserve.PEER,
        litserve.PEER,
        bentoml.PEER,
        mlserver.PEER,
        ray.PEER,
    )
}

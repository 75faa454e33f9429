"""What a server adds to the work of its models."""

import msgspec

from heterosis.terms.energy import Energy, Quality

MOST_SHARE = 0.9
"""Of the cores: beyond that, figures of what is left for the instances mean nothing."""


class Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """What each request costs beside its stages: reading, decoding, routing, copying, encoding, writing.

    One process does that for all requests, on the cores that the instances run on, or on a machine of its own.
    """

    wall_ms: float = 0.0
    """Added to the latency of a request that is alone on the server."""
    away_ms: float = 0.0
    """Of that, what its batches were on their way to a worker and back, the one or the other."""
    hop_ms: float = 0.0
    """What each batch is on its way, there and back."""
    cpu_ms: float = 0.0
    """CPU time of the server's own process."""
    cores: int = 1
    """That it shares with instances; 0 on a machine of its own."""
    energy: Energy = Energy(0.0, Quality.COUNTER)
    """Dynamic energy of that CPU time."""
    stretch: dict[str, tuple[float, ...]] = {}
    """By stage: run times as served over those profiled, for requests of each sample; empty where not measured."""
    requests: int = 0
    """That it was measured on; 0 where nothing was."""

    @property
    def front_ms(self) -> float:
        """Of the latency, what is no batch's own way."""
        return max(self.wall_ms - self.away_ms, 0.0)

    @property
    def slot_ms(self) -> float:
        """Time that each core gives to a request."""
        return self.cpu_ms / self.cores if self.cores else 0.0

    def share(self, rate_rps: float) -> float:
        """Share of the cores' time (0..1) that so many requests per second take."""
        return min(rate_rps * self.slot_ms / 1e3, MOST_SHARE)

    @property
    def apart(self) -> "Overhead":
        """The same on a machine of its own, whose energy does not count."""
        return msgspec.structs.replace(self, cores=0, energy=Energy(0.0, Quality.COUNTER), stretch={})


NO_OVERHEAD = Overhead()

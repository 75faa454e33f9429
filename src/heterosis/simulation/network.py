"""Transfers between nodes: how long a batch travels to its instance, and its answer back."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The way from the scheduler to a node, the same in both directions."""

    latency_ms: float = 0.0
    """One way."""
    bandwidth_mbit_s: float | None = None
    """None: it is not what limits."""

    def seconds(self, size_bytes: float) -> float:
        """Time from the first byte sent to the last one received."""
        sending = size_bytes * 8 / (self.bandwidth_mbit_s * 1e6) if self.bandwidth_mbit_s else 0.0
        return self.latency_ms / 1e3 + sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes of one item of a stage."""

    input_bytes: float = 0.0
    output_bytes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Links to nodes, by name, and the bytes of an item, by stage.

    Transfers take a fixed time: they do not wait for each other. A node without a link is where the scheduler is. Slots
    stay taken until the answer is back, as the scheduler learns of it only then.
    """

    links: Mapping[str, Link]
    traffic: Mapping[str, Traffic] = field(default_factory=dict)

    def seconds(self, node: str, stage: str, size: int) -> tuple[float, float]:
        """How long a batch of so many items travels there, and its answer back."""
        link = self.links.get(node)
        if link is None:
            return 0.0, 0.0
        item = self.traffic.get(stage, _NOTHING)
        return link.seconds(size * item.input_bytes), link.seconds(size * item.output_bytes)


_NOTHING = Traffic()

"""Notices workers that hang: alive, but with a batch that should have ended long ago."""

from collections.abc import Iterable, Iterator

from heterosis.scheduling.state import InstanceRecord

PATIENCE_S = 60.0
"""However short its batches are, an instance is given so long: a request waits no longer for it."""

RATIO = 20.0
"""And so many times as long as a batch was expected to take."""

PERIOD_S = 5.0
"""How often is looked."""


def hung(
    instances: Iterable[InstanceRecord], now: float, patience_s: float = PATIENCE_S
) -> Iterator[tuple[str, float]]:
    """Name the instances that hang, each with how long its batch has run."""
    for instance in instances:
        if instance.batches:
            batch = instance.batches[0]
            ran_s, expected_s = now - batch.begin, max(batch.expected_end - batch.begin, 0.0)
            if ran_s > max(patience_s, RATIO * expected_s):
                yield instance.name, ran_s

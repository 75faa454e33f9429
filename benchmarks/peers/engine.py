"""The bare engine loop: what one core gives with nothing around the model. A program: orders in, figures out, by line.

python -m benchmarks.peers.engine MODEL
"""

import sys
import time
from typing import Any

import msgspec

from benchmarks.peers.models import INPUT, example, open_session


class Order(msgspec.Struct, frozen=True):
    """Run for so long, in batches of so many."""

    seconds: float
    batch: int = 1


class Figures(msgspec.Struct, frozen=True):
    """What came out."""

    items_per_s: float
    cpu_ms_per_item: float


def main(path: str) -> None:
    """Serve orders until standard input closes."""
    session = open_session(path)
    for line in sys.stdin:
        sys.stdout.write(msgspec.json.encode(_loop(session, msgspec.json.decode(line, type=Order))).decode() + "\n")
        sys.stdout.flush()


def _loop(session: Any, order: Order) -> Figures:
    run = session.run
    feed = {INPUT: example(order.batch)}
    run(None, feed)
    items, cpu, started = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() < started + order.seconds:
        run(None, feed)
        items += order.batch
    seconds = time.perf_counter() - started
    return Figures(items_per_s=items / seconds, cpu_ms_per_item=(time.process_time() - cpu) / items * 1e3)


if __name__ == "__main__":
    main(sys.argv[1])

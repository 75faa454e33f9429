"""What a long load says of memory, files and errors."""

import os

import pytest

from benchmarks.peers.memory import tree_memory
from benchmarks.soak import faults

SOUND = {
    "errors": 0.0,
    "least memory once settled, MB": 100.0,
    "least memory at the end, MB": 101.0,
    "open files but connections, once settled": 34.0,
    "open files but connections, at the end": 34.0,
    "connections once no client is left": 0.0,
}


@pytest.mark.parametrize(
    ("figure", "value", "said"),
    [
        ("errors", 2.0, "2 requests"),
        ("least memory at the end, MB", 103.0, "memory grew"),
        ("open files but connections, at the end", 35.0, "open files grew from 34 to 35"),
        ("connections once no client is left", 1.0, "1 connections"),
    ],
)
def test_what_grows_or_fails_is_said(figure: str, value: float, said: str) -> None:
    """Each by itself, and nothing else."""
    assert not faults(SOUND)
    (fault,) = faults(SOUND | {figure: value})
    assert said in fault


def test_memory_that_is_written_is_seen() -> None:
    """Of this process: twenty megabytes more."""
    before = tree_memory(os.getpid())
    written = bytearray(os.urandom(1)) * (20 << 20)
    after = tree_memory(os.getpid())
    assert after.own - before.own == pytest.approx(len(written), rel=0.05)
    assert before.files > 0

"""What a long load says of memory, files and errors."""

import mmap
import os

import pytest

from benchmarks.peers.memory import tree_memory
from benchmarks.soak import faults

MORE = 20 << 20
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


@pytest.mark.parametrize(("flags", "kind"), [(mmap.MAP_PRIVATE, "own"), (mmap.MAP_SHARED, "shared")])
def test_memory_that_is_written_is_seen(flags: int, kind: str) -> None:
    """Of this process: twenty megabytes more, once they are written."""
    before = tree_memory(os.getpid())
    with mmap.mmap(-1, MORE, flags=flags | mmap.MAP_ANONYMOUS) as mapped:
        for _ in range(MORE >> 20):
            mapped.write(bytes(1 << 20))
        after = tree_memory(os.getpid())
    assert getattr(after, kind) - getattr(before, kind) == pytest.approx(MORE, abs=2 << 20)
    assert before.files > 0

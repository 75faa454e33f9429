"""Larger pages."""

from pathlib import Path

import pytest

from heterosis.serving import pages

MAPS = """\
564a1c000000-564a1c7ff000 rw-p 00000000 00:00 0                          [heap]
7f0000100000-7f0000500000 rw-p 00000000 00:00 0
7f0000600000-7f0000800000 r-xp 00000000 fe:00 12                         /usr/lib/lib with blank.so
7f0000800000-7f0000a00000 rw-p 00000000 fe:00 12                         /usr/lib/lib with blank.so
7f0000a00000-7f0000c00000 rw-s 00000000 00:01 13                         /memfd:heterosis-transport (deleted)
7f0000c00000-7f0000cff000 rw-p 00000000 00:00 0
7ffd00000000-7ffd00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_a_process_own_memory_is_looked_for_where_whole_pages_fit() -> None:
    """Its heap and mappings without a name; no code, no files, nothing that others share."""
    assert [hex(at) for at in pages.own(MAPS)] == [
        "0x564a1c000000",
        "0x564a1c200000",
        "0x564a1c400000",
        "0x7f0000200000",
    ]


def test_memory_keeps_its_content() -> None:
    """And is in larger pages afterwards, where the kernel has them on request."""
    kept = [bytes([number % 256]) * 1000 for number in range(20_000)]
    if not pages.collapse():
        pytest.skip("this kernel gives no larger pages on request")
    assert all(each == bytes([number % 256]) * 1000 for number, each in enumerate(kept))
    huge = next(line for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if "AnonHugePages" in line)
    assert int(huge.split()[1]) >= pages.HUGE >> 10

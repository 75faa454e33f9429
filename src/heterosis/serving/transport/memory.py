"""Memory that a router shares with the workers on its host: it writes, they only read.

A block belongs to who asked for it until nothing refers to it any more: numpy arrays and memoryviews of it keep it, as
they would keep memory of their own. Blocks are used again, the latest first, since that is the warmest, for bodies of
about their size; what a crowd of requests has left behind goes back to the system, and its place may be had by blocks
of any size (`SharedMemory.trim`). The memory has no name in the file system, and is gone with the last process that has
it; pages that were never used cost nothing.
"""

import functools
import mmap
import os
import weakref
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from heterosis.serving.shelf import Shelf
from heterosis.serving.values import Buffer

DEFAULT_BYTES = 512 << 20
GRAIN = 4096
"""Blocks are whole pages, and begin at one."""

Array = np.ndarray[Any, Any]


class SharedMemory:
    """The router's end: gives blocks. None of its methods may be called from another thread."""

    def __init__(self, size: int = DEFAULT_BYTES) -> None:
        """Reserve so many bytes of address space. Raise OSError where the system has no such thing."""
        self._file = os.memfd_create("heterosis-transport", os.MFD_CLOEXEC)
        os.ftruncate(self._file, size)
        self._mapped = mmap.mmap(self._file, size)
        self._bytes = np.frombuffer(self._mapped, np.uint8)
        self._address: int = self._bytes.ctypes.data
        self._size = size
        self._gaps = [(0, size)]
        """Where they begin and end: no block is there, and no pages."""
        self._free: dict[int, Shelf[int]] = defaultdict(Shelf)
        """Where blocks begin that nobody has, by how many bytes they take."""
        self._given: dict[int, _Given] = {}
        """By the identity of the array that is lent."""
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        """Where other processes of the same user find it."""

    def allocate(self, length: int, offset: int = 0) -> memoryview | None:
        """Give a block in which the byte at ``offset`` is at the start of a cache line; None where there is no room."""
        skew = -offset % 64
        pages = _rounded(length + skew)
        start = free.take() if (free := self._free[pages]) else self._begin_block(pages)
        if start is None:
            return None
        block = self._bytes[start + skew : start + skew + length]
        given = _Given(block, self._take_back)
        given.key, given.begin, given.start, given.pages = id(block), start + skew, start, pages
        self._given[given.key] = given
        return block.data

    def copy(self, frame: Buffer) -> memoryview | None:
        """Copy a frame into a block; None where there is no room."""
        block = self.allocate(len(frame))
        if block is not None:
            block[:] = frame
        return block

    def begin_of(self, block: memoryview) -> int | None:
        """Where a block begins that was given, or that begins as it does; None for any other memory."""
        given = self._given.get(id(block.obj))
        return None if given is None else given.begin

    def place_of(self, frame: Buffer) -> int | None:
        """Where a frame begins; None where that is elsewhere."""
        address = np.frombuffer(frame, np.uint8).__array_interface__["data"][0] - self._address
        return address if 0 <= address < self._size else None

    def trim(self) -> None:
        """Give the pages of those blocks back to the system that nobody has needed since this was last called."""
        idle = _joined((start, start + pages) for pages, free in self._free.items() for start in free.take_idle())
        if idle:
            for begin, end in idle:
                self._mapped.madvise(mmap.MADV_REMOVE, begin, end - begin)
            self._gaps = _joined((*self._gaps, *idle))

    @property
    def given(self) -> int:
        """Blocks that somebody has."""
        return len(self._given)

    def close(self) -> None:
        """Let go of the memory, once nobody has a block of it."""
        os.close(self._file)

    def _begin_block(self, pages: int) -> int | None:
        """Take the place of a new block from the first gap that has it."""
        for index, (begin, end) in enumerate(self._gaps):
            if pages <= end - begin:
                self._gaps[index] = (begin + pages, end)
                return begin
        return None

    def _take_back(self, given: "_Given") -> None:
        del self._given[given.key]
        self._free[given.pages].append(given.start)


class _Given(weakref.ref[Array]):
    """A block that somebody has: what it is known by, where it begins, and the pages that it takes."""

    __slots__ = ("begin", "key", "pages", "start")

    key: int
    begin: int
    start: int
    pages: int


def look_into(path: str) -> memoryview:
    """Map what `SharedMemory.path` says, as a worker does: to be read. Raise OSError where this process cannot."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(file, 0, prot=mmap.PROT_READ))
    finally:
        os.close(file)


def _joined(gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Make one of those that touch each other; leave out empty ones. They come in the order of their places."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(gaps):
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        elif begin < end:
            joined.append((begin, end))
    return joined


@functools.lru_cache(1024)
def _rounded(length: int) -> int:
    """Round up to a size that blocks have: whole pages, and only so many sizes that most blocks can be used again."""
    step = max(GRAIN, 1 << max(0, length.bit_length() - 3))
    return -(-length // step) * step

"""The calls of a stage that wait."""

from bisect import insort
from collections.abc import Iterator
from operator import itemgetter

from heterosis.scheduling.state import CallRecord, Priority

_Entry = tuple[Priority, int, CallRecord]

_record = itemgetter(2)

SPARSE = 64
"""Entries of calls that left a queue, beyond as many as wait in it, that are kept before they are swept out."""


class Queue:
    """The calls of one stage that wait, by priority, then in order of arrival. Removal is lazy."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[_Entry] = []
        """In order. Of the entries before ``_start`` none waits any more; the one there does."""
        self._start = 0
        self.head: CallRecord | None = None
        """The first call that waits."""
        self._sequence = 0
        self.waiting = 0
        """Calls that wait."""
        self.alike = True
        """Whether all calls that came since none waited are of one size, and of requests of one class."""
        self.in_order = True
        """Whether they came in the order of their places, and of their requests' deadlines."""

    def __len__(self) -> int:
        """Calls that wait."""
        return self.waiting

    def push(self, record: CallRecord) -> None:
        """Add a waiting call."""
        entries, number = self._entries, self._sequence
        record.entry = number
        self._sequence += 1
        self.waiting += 1
        entry = (record.priority, number, record)
        if not entries:
            self.alike = self.in_order = True
            entries.append(entry)
            self.head = record
            return
        priority, _, last = entries[-1]
        if record.call.size != last.call.size or record.request.request_class != last.request.request_class:
            self.alike = False
        if record.request.deadline < last.request.deadline:
            self.in_order = False
        if record.priority >= priority:
            entries.append(entry)
        else:
            self.in_order = False
            insort(entries, entry, self._start)
            self.head = entries[self._start][2]

    def left(self, record: CallRecord) -> None:
        """Note that a call in the queue waits no more; its entry is skipped from now on."""
        record.entry = -1
        self.waiting -= 1
        if not self.waiting:
            self._entries, self._start, self.head = [], 0, None
            return
        entries, start = self._entries, self._start
        if record is self.head:
            while not _waits(entries[start]):
                start += 1
            self._start, self.head = start, entries[start][2]
        if len(entries) > 2 * self.waiting + SPARSE:
            self._entries, self._start = [entry for entry in entries[start:] if _waits(entry)], 0

    def first(self, count: int) -> list[CallRecord]:
        """The first calls that wait, in order, at most ``count``."""
        entries = self._entries
        if len(entries) - self._start == self.waiting:  # all of them wait
            return list(map(_record, entries[self._start : self._start + count]))
        found: list[CallRecord] = []
        for position in range(self._start, len(entries)):
            _, number, record = entries[position]
            if record.entry == number:
                found.append(record)
                if len(found) == count:
                    break
        return found

    def batch(self, max_items: int) -> list[CallRecord]:
        """The first calls that wait, in order: the very first, and as many more as fit in so many items."""
        head = self.head
        if head is not None and head.call.size >= max_items:
            return [head]
        taken: list[CallRecord] = []
        items = 0
        for record in self:
            items += record.call.size
            if taken and items > max_items:
                break
            taken.append(record)
        return taken

    def __iter__(self) -> Iterator[CallRecord]:
        """All calls that wait, in order. Those that leave meanwhile are passed over, but none may be added."""
        entries = self._entries
        for position in range(self._start, len(entries)):
            entry = entries[position]
            if _waits(entry):
                yield entry[2]

    def __reversed__(self) -> Iterator[CallRecord]:
        """All calls that wait, the last first; as for the order itself, none may be added meanwhile."""
        entries = self._entries
        for position in range(len(entries) - 1, self._start - 1, -1):
            entry = entries[position]
            if _waits(entry):
                yield entry[2]


def _waits(entry: _Entry) -> bool:
    return entry[2].entry == entry[1]

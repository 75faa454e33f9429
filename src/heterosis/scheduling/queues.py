"""The calls of a stage that wait."""

from bisect import insort
from collections.abc import Iterator
from operator import itemgetter

from heterosis.scheduling.state import CallRecord, Priority
from heterosis.scheduling.states import CallState

_Entry = tuple[Priority, int, CallRecord]
Kind = tuple[int, str]
"""What makes calls of a stage alike to a scheduler: size, and class of the request."""

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
        self.kinds: dict[Kind, int] = {}
        """How many of each kind wait."""

    def __len__(self) -> int:
        """Calls that wait."""
        return self.waiting

    def push(self, record: CallRecord) -> None:
        """Add a waiting call."""
        record.entry = self._sequence
        insort(self._entries, (record.priority, record.entry, record), lo=self._start)
        self.head = self._entries[self._start][2]
        self._sequence += 1
        self.waiting += 1
        kind = (record.call.size, record.request.request_class)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def left(self, record: CallRecord) -> None:
        """Note that a call in the queue waits no more; its entry is skipped from now on."""
        self.waiting -= 1
        kind = (record.call.size, record.request.request_class)
        self.kinds[kind] -= 1
        if not self.kinds[kind]:
            del self.kinds[kind]
        if len(self._entries) > 2 * self.waiting + SPARSE:
            self._entries = [entry for entry in self._entries[self._start :] if _waits(entry)]
            self._start = 0
        entries = self._entries
        while self._start < len(entries):
            _, number, first = entries[self._start]
            if first.state is CallState.WAITING and first.entry == number:  # `_waits`, without the call
                self.head = first
                return
            self._start += 1
        self.head = None

    def first(self, count: int) -> list[CallRecord]:
        """The first calls that wait, in order, at most ``count``."""
        entries = self._entries
        if len(entries) - self._start == self.waiting:  # all of them wait
            return list(map(_record, entries[self._start : self._start + count]))
        found: list[CallRecord] = []
        for position in range(self._start, len(entries)):
            _, number, record = entries[position]
            if record.state is CallState.WAITING and record.entry == number:
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
    _, number, record = entry
    return record.state is CallState.WAITING and record.entry == number

"""Journals on disk: in order across parts, whole after a crash, one run at a time."""

import contextlib
import time
from pathlib import Path

import pytest

from heterosis.scheduling import Record, SetTimer, TimerFired
from heterosis.serving.journal import Journal, read_journal, read_runs
from heterosis.terms.errors import UsageError


def make_record(number: int) -> Record:
    """One of a row."""
    effect = SetTimer(at=number + 1.0, key="wake", reason="a test")
    return Record(at=float(number), event=TimerFired(key=f"{number}"), effects=(effect,))


def write(path: Path, numbers: range, **options: int) -> None:
    """Write a run of records."""
    with contextlib.closing(Journal(path, **options)) as journal:
        for number in numbers:
            journal.write(make_record(number))


def test_parts_are_read_in_order(tmp_path: Path) -> None:
    """A part that is full is put aside, and the run goes on in another."""
    path = tmp_path / "deep" / "journal"
    with contextlib.closing(Journal(path, max_part_bytes=200)) as journal:
        for number in range(50):
            journal.write(make_record(number))
            if number % 5 == 0:
                while not journal._waiting.empty():  # noqa: SLF001 - so that parts do not depend on the thread's pace
                    time.sleep(1e-3)
    assert len(read_runs(path)[0]) > 1
    assert list(read_journal(path)) == [make_record(number) for number in range(50)]


def test_each_start_begins_a_run(tmp_path: Path) -> None:
    """What a server wrote before stays readable, and does not mix with what it writes now."""
    path = tmp_path / "journal"
    write(path, range(3))
    write(path, range(5, 7))
    assert [record.at for record in read_journal(path)] == [5.0, 6.0]
    assert [record.at for record in read_journal(path, 0)] == [0.0, 1.0, 2.0]
    with pytest.raises(UsageError, match="has 2 runs"):
        list(read_journal(path, 2))


@pytest.mark.parametrize("lost", [1, 7, 30])
def test_a_record_cut_short_ends_the_part(tmp_path: Path, lost: int) -> None:
    """All that was whole before a crash is read, and another run begins behind it."""
    path = tmp_path / "journal"
    write(path, range(4))
    path.write_bytes(path.read_bytes()[:-lost])
    assert [record.at for record in read_journal(path)] == [0.0, 1.0, 2.0]
    write(path, range(1))
    assert len(list(read_journal(path, 0))) == 3
    assert len(list(read_journal(path, 1))) == 1


def test_a_damaged_record_is_not_believed(tmp_path: Path) -> None:
    """A checksum tells what the disk did not keep."""
    path = tmp_path / "journal"
    write(path, range(4))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert len(list(read_journal(path))) == 3


def test_old_parts_are_dropped_when_asked(tmp_path: Path) -> None:
    """Only so many are kept; a run without its beginning is refused, since it cannot be replayed."""
    path = tmp_path / "journal"
    for run in range(4):
        write(path, range(run + 1), keep=2)
    assert [len(parts) for parts in read_runs(path)] == [1, 1, 1]
    with contextlib.closing(Journal(path, max_part_bytes=1, keep=1)) as journal:
        for number in range(3):
            journal.write(make_record(number))
            while not journal._waiting.empty():  # noqa: SLF001 - as above
                time.sleep(1e-3)
    assert len(read_runs(path)[-1]) <= 2


def test_no_journal_is_said_to_be_none(tmp_path: Path) -> None:
    """Neither a missing file nor another one is taken for a journal."""
    with pytest.raises(UsageError, match="there is no journal"):
        list(read_journal(tmp_path / "none"))
    (tmp_path / "other").write_text("this is no journal at all, but some text")
    with pytest.raises(UsageError, match="is no journal"):
        list(read_journal(tmp_path / "other"))

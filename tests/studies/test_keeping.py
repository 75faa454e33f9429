"""Parts of a study that are kept."""

from pathlib import Path

import msgspec
import pytest

from heterosis.studies import keeping
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, silent

ran: list[int] = []


class Part(msgspec.Struct, frozen=True):
    """What comes of a part."""

    number: int
    ratio: float | None


def part(number: int) -> Part | None:
    """Fail on a multiple of four; nothing comes of three."""
    ran.append(number)
    if not number % 4:
        raise ZeroDivisionError
    return None if number == 3 else Part(number, 1 / number)


def parts(folder: Path, *numbers: int) -> list[Part | None]:
    """Run some here, and forget that any was run before."""
    ran.clear()
    return starmap(part, [(number,) for number in numbers], Options(jobs=1, keep=folder), silent)


def test_what_ran_before_a_failure_is_not_run_again(tmp_path: Path) -> None:
    """A study goes on where it was; results that are None count, too."""
    with pytest.raises(ZeroDivisionError):
        parts(tmp_path, 1, 3, 4, 5)
    assert parts(tmp_path, 1, 2, 3, 5) == [Part(1, 1.0), Part(2, 0.5), None, Part(5, 0.2)]
    assert ran == [2, 5]


def test_of_another_version_nothing_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of a file that was cut short."""
    parts(tmp_path, 1)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-2])
    parts(tmp_path, 1)
    assert ran == [1]
    parts(tmp_path, 1)
    assert ran == []
    monkeypatch.setattr(keeping, "_sources", lambda: "another")
    parts(tmp_path, 1)
    assert ran == [1]

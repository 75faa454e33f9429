"""Traced inputs in a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heterosis.profiling.inputs import MAX_CALLS, load_inputs, save_inputs
from heterosis.terms.errors import UsageError

PAGE = np.arange(300 * 200 * 3, dtype=np.uint8).reshape(300, 200, 3)
CALLS: list[tuple[Any, ...]] = [(PAGE, (1.0, 2.0)), (PAGE, (3.0, 4.0)), (PAGE[::2], None), ("text", b"bytes", [1])]


def test_round_trip(tmp_path: Path) -> None:
    """Calls come back as they were, large arrays as read-only views."""
    file = save_inputs(tmp_path, "read", CALLS)
    back = load_inputs(file.path)
    assert file.calls == len(back) == 4
    assert [args[1:] for args in back] == [args[1:] for args in CALLS]
    np.testing.assert_array_equal(back[0][0], PAGE)
    np.testing.assert_array_equal(back[2][0], PAGE[::2])
    assert not back[0][0].flags.writeable
    assert not back[0][0].flags.owndata


def test_shared_arrays_are_stored_once(tmp_path: Path) -> None:
    """A page that two calls share takes its room once."""
    file = save_inputs(tmp_path, "read", CALLS)
    assert 1.5 * PAGE.nbytes < Path(file.path).stat().st_size < 1.6 * PAGE.nbytes


def test_digest_tells_contents_apart(tmp_path: Path) -> None:
    """The same calls have the same digest and file; a changed pixel, value or order another."""
    digests = {save_inputs(tmp_path, "read", calls).digest for calls in (CALLS, [*CALLS], CALLS[::-1], CALLS[:-1])}
    assert len(digests) == 3
    assert len(list(tmp_path.iterdir())) == 3
    changed = PAGE.copy()
    changed[0, 0, 0] += 1
    assert save_inputs(tmp_path, "read", [(changed,)]).digest != save_inputs(tmp_path, "read", [(PAGE,)]).digest


def test_many_calls_are_thinned_out(tmp_path: Path) -> None:
    """Of very many calls a fixed random selection is kept, in order."""
    calls = [(number,) for number in range(10 * MAX_CALLS)]
    back = load_inputs(save_inputs(tmp_path, "count", calls).path)
    assert len(back) == MAX_CALLS
    assert back == sorted(back)
    assert back[0][0] < 100
    assert back[-1][0] > 10 * MAX_CALLS - 100
    assert save_inputs(tmp_path, "count", calls).digest == save_inputs(tmp_path, "count", calls).digest


def test_what_cannot_travel_is_named(tmp_path: Path) -> None:
    """A call with a value that no worker could be sent is refused with the stage and the place."""
    with pytest.raises(UsageError, match=r"stage 'read'.*value\[1\].*set"):
        save_inputs(tmp_path, "read", [(PAGE, {1, 2})])


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """A file that is none of ours is not read."""
    file = tmp_path / "x.inputs"
    file.write_bytes(b"something else entirely")
    with pytest.raises(UsageError, match="no file of traced inputs"):
        load_inputs(file)

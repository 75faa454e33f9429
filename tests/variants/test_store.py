"""Folders that are whole or not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from heterosis.variants.store import new_folder, sweep


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    """While it is filled, nobody sees it under its name."""
    with new_folder(tmp_path / "store" / "one") as folder:
        (folder / "content").write_text("whole")
        assert not (tmp_path / "store" / "one").exists()
    assert (tmp_path / "store" / "one" / "content").read_text() == "whole"
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["one"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Not even what was written before it."""

    def fill() -> None:
        with new_folder(tmp_path / "one") as folder:
            (folder / "content").write_text("half")
            raise error

    with pytest.raises(error):
        fill()
    assert not list(tmp_path.iterdir())


def test_who_comes_first_stays(tmp_path: Path) -> None:
    """A folder that another process finished meanwhile is left as it is."""
    with new_folder(tmp_path / "one") as late:
        (late / "content").write_text("late")
        with new_folder(tmp_path / "one") as early:
            (early / "content").write_text("early")
    assert (tmp_path / "one" / "content").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_folder_that_cannot_be_placed_is_told(tmp_path: Path) -> None:
    """For example where a file has its name."""
    (tmp_path / "one").write_text("a file")
    (tmp_path / "two").mkdir()
    with pytest.raises(OSError, match="one"), new_folder(tmp_path / "one" / "inside"):
        pass


def test_only_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    """Folders that a living process fills stay; what a killed one left goes, and finished ones stay."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom heterosis.variants.store import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as folder:\n    (folder / 'half').touch()\n    os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "dead")], check=False)  # noqa: S603
    (abandoned,) = tmp_path.iterdir()
    with new_folder(tmp_path / "done"):
        pass
    with new_folder(tmp_path / "alive") as alive:
        sweep(tmp_path)
        assert alive.exists()
        assert not abandoned.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"alive", "done"}


def test_sweeping_what_is_not_there_is_harmless(tmp_path: Path) -> None:
    """A new store has nothing to sweep."""
    sweep(tmp_path / "nothing")

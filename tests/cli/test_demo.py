"""The demo says what is wrong before it spends minutes."""

from pathlib import Path

import pytest

from heterosis.cli.app import MISUSED, run


def test_a_report_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of that name is in the way: exit code 2, and one clear line."""
    (tmp_path / "taken").write_text("")
    assert run(["demo", "--out", str(tmp_path / "taken")]) == MISUSED
    assert "cannot make the folder" in capsys.readouterr().err


def test_a_pipeline_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the path."""
    assert run(["demo", str(tmp_path / "absent.py"), "--out", str(tmp_path / "out")]) == MISUSED
    assert "absent.py" in capsys.readouterr().err

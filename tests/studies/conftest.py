"""Where the published data lies, for the tests that compare with it."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder that ``--data`` would name: ``HETEROSIS_DATA``, or one beside the repository."""
    folder = Path(os.environ.get("HETEROSIS_DATA", BESIDE))
    if not folder.is_dir():
        pytest.skip(f"the published data is not at {folder}; set HETEROSIS_DATA to its folder")
    return folder

"""A small pipeline without models, and its command line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from heterosis.cli.app import run

PIPELINE = '''
"""Counts the letters of words."""

import heterosis as hs


class Split:
    """Cut a text into words."""

    def run(self, text):
        return text.split()


class Count:
    """Count letters."""

    def run(self, word):
        if word == "boom":
            raise ValueError("this word is not to be counted")
        return len(word)


split, count = hs.stage(Split), hs.stage(Count)


@hs.pipeline(slo=hs.Slo(latency_ms=500, percentile=90, min_accuracy=0.5))
async def letters(text: str) -> list[int]:
    return await hs.gather(count(word) for word in await split(text))


@letters.samples
def texts():
    yield hs.Sample({"text": "a bc"}, truth=[1, 2])
    yield hs.Sample({"text": "def"}, truth=[3])
    yield hs.Sample({"text": "g h i"})
'''


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what a verb says of the log: its standard error is this test's alone."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def pipeline_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pipeline lies."""
    path = tmp_path_factory.mktemp("pipeline") / "letters.py"
    path.write_text(PIPELINE)
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the tests share, so that each does only what is new."""
    return tmp_path_factory.mktemp("store")


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def heterosis(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command line, in this process."""

    def command(*arguments: object) -> Done:
        capsys.readouterr()
        code = run(list(map(str, arguments)))
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return command

"""Traces in the store."""

from pathlib import Path

import numpy as np
import pytest

from heterosis.pipeline import trace
from heterosis.terms.errors import UsageError
from heterosis.workflow.blame import load
from heterosis.workflow.traces import stored_trace

PIPELINE = """
import numpy as np
import heterosis as hs

class Split:
    def run(self, text):
        return {split}

class Count:
    def run(self, word):
        return (len(word), np.full(600, len(word)))

split, count = hs.stage(Split), hs.stage(Count)

@hs.pipeline(slo=hs.Slo(latency_ms=100))
async def words(text: str) -> str:
    return await hs.gather(count(word) for word in await split(text))

@words.samples
def texts():
    yield hs.Sample({{"text": "{text}"}})
    yield hs.Sample({{"text": "d"}})
"""


def write(folder: Path, text: str = "a bc", split: str = "text.split()") -> Path:
    """Write the pipeline under a name of its own, since a module is loaded once for each path."""
    path = folder / f"pipeline{len(list(folder.glob('*.py')))}.py"
    path.write_text(PIPELINE.format(text=text, split=split))
    return path


async def test_a_stored_trace_equals_a_new_one(tmp_path: Path) -> None:
    """Graph, arguments and results survive the store, tuples and arrays included."""
    import asyncio

    pipeline = load(write(tmp_path))
    steps: list[int] = []
    first = await asyncio.to_thread(stored_trace, pipeline, tmp_path / "traces", lambda: steps.append(1))
    again = await asyncio.to_thread(stored_trace, pipeline, tmp_path / "traces", lambda: steps.append(1))
    fresh = await trace(pipeline, pipeline.load_samples())
    assert len(steps) == 2
    for found in (first, again):
        assert found.graph.requests == fresh.graph.requests
        assert found.inputs == fresh.inputs == {"split": [("a bc",), ("d",)], "count": [("a",), ("bc",), ("d",)]}
        assert found.graph.input_bytes == pytest.approx({"split": 8, "count": 6}, abs=4)
    (length, array), *_ = again.results[0]
    assert length == 1
    np.testing.assert_array_equal(array, np.full(600, 1))
    assert again.graph == first.graph


@pytest.mark.parametrize("change", [{"text": "x"}, {"split": "text.split()[:1]"}])
def test_a_change_makes_a_new_trace(tmp_path: Path, change: dict[str, str]) -> None:
    """Other samples, or other code, are traced anew, and the old trace goes."""
    folder = tmp_path / "traces"
    first = stored_trace(load(write(tmp_path)), folder)
    second = stored_trace(load(write(tmp_path, **change)), folder)
    assert first.inputs["count"] != second.inputs["count"]
    assert len(list(folder.iterdir())) == 1


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    """A file that cannot be read counts as none."""
    pipeline = load(write(tmp_path))
    good = stored_trace(pipeline, tmp_path / "traces")
    (path,) = (tmp_path / "traces").iterdir()
    for content in (b"", b"garbage", path.read_bytes()[:-1]):
        path.write_bytes(content)
        assert stored_trace(pipeline, tmp_path / "traces").graph.requests == good.graph.requests


def test_what_cannot_travel_is_refused(tmp_path: Path) -> None:
    """Stages run in processes of their own: what cannot travel between them is named."""
    pipeline = load(write(tmp_path, split="[{1, 2}]"))
    with pytest.raises(UsageError, match=r"cannot travel between its stages.*it is a builtins\.set"):
        stored_trace(pipeline, tmp_path / "traces")


def test_errors_in_the_users_file_say_where(tmp_path: Path) -> None:
    """A file that cannot be loaded, samples that cannot be made and a function that fails name the line."""
    broken = tmp_path / "broken.py"
    broken.write_text("import heterosis\nx = 1 / 0\n")
    with pytest.raises(UsageError, match=r"cannot load .*ZeroDivisionError.*broken\.py, line 2, in <module>\)"):
        load(broken)
    misspelt = tmp_path / "misspelt.py"
    misspelt.write_text("import heterosis\nx = (\n")
    with pytest.raises(UsageError, match=r"SyntaxError.*misspelt\.py, line 2\)"):
        load(misspelt)
    sampleless = write(tmp_path)
    sampleless.write_text(sampleless.read_text().replace("    yield", "    raise ValueError('no')\n    yield", 1))
    with pytest.raises(UsageError, match=r"samples of pipeline 'words' cannot be made: ValueError: no .*in texts\)"):
        load(sampleless)
    failing = write(tmp_path)
    failing.write_text(failing.read_text().replace("return await", "return text.nothing or await"))
    with pytest.raises(UsageError, match=r"'words' failed on a sample: AttributeError: .*in words\)"):
        stored_trace(load(failing), tmp_path / "traces")


def test_pipeline_without_samples(tmp_path: Path) -> None:
    """The message says how to give some."""
    path = write(tmp_path)
    path.write_text(path.read_text().split("@words.samples", maxsplit=1)[0])
    with pytest.raises(UsageError, match=r"give it some with @words\.samples"):
        stored_trace(load(path), tmp_path / "traces")

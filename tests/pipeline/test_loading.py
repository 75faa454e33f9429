"""Pipelines are loaded from files, with clear words where that cannot be."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heterosis.pipeline import load_pipeline
from heterosis.terms.errors import UsageError

PIPELINE = """
import heterosis as hs
import neighbour_of_{name}

class Echo:
    def run(self, value):
        return value

echo = hs.stage(Echo)

@hs.pipeline(slo=hs.Slo(latency_ms=10))
async def first(value: int) -> int:
    return await echo(value)

{more}
"""

SECOND = """
@hs.pipeline(slo=hs.Slo(latency_ms=10))
async def second(value: int) -> int:
    return await first(value)
"""


def write(folder: Path, name: str, more: str = "") -> Path:
    """Write a pipeline file with a neighbour that it imports."""
    (folder / f"neighbour_of_{name}.py").write_text("")
    file = folder / f"{name}.py"
    file.write_text(PIPELINE.format(name=name, more=more))
    return file


def test_a_file_with_one_pipeline_needs_no_name(tmp_path: Path) -> None:
    """Its neighbours can be imported; loading it again gives the same pipeline."""
    file = write(tmp_path, "one")
    pipeline = load_pipeline(file)
    assert pipeline.name == "first"
    assert load_pipeline(file) is pipeline


def test_of_several_pipelines_one_has_to_be_named(tmp_path: Path) -> None:
    """A pipeline that calls another has its stages."""
    file = write(tmp_path, "two", SECOND)
    with pytest.raises(UsageError, match=r"defines 2 pipelines \(first, second\); say which with FILE:NAME"):
        load_pipeline(file)
    assert [stage.name for stage in load_pipeline(f"{file}:second").stages] == ["echo"]
    with pytest.raises(UsageError, match="defines no pipeline 'third'"):
        load_pipeline(f"{file}:third")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message has the whole path."""
    with pytest.raises(UsageError, match=r"no pipeline file .*absent\.py"):
        load_pipeline(tmp_path / "absent.py")


def test_threads_that_load_a_file_at_once_get_the_same_pipeline(tmp_path: Path) -> None:
    """None of them sees a file that another is still importing."""
    file = write(tmp_path, "slow")
    file.write_text("import time\ntime.sleep(0.05)\n" + file.read_text())
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(load_pipeline, [str(file)] * 8))
    assert len({id(pipeline) for pipeline in loaded}) == 1

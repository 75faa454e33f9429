"""Building artifacts in other processes."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from heterosis.variants.building import REFUSAL, Task, build_all, load_items, save_items
from heterosis.variants.recipes import RECIPES

Write = Callable[..., Path]

RANGES = set(RECIPES["onnxruntime-int8"].artifacts)


@pytest.fixture(scope="module")
def models(write_pipeline: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    return write_pipeline(tmp_path_factory.mktemp("models"), truth=False).parent


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Tiles to calibrate with."""
    draw = np.random.default_rng(0)
    path = tmp_path / "items.npz"
    save_items(path, [{"tile": draw.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(4)])
    return path


def task(models: Path, folder: Path, recipe: str, items: Path | str = "") -> Task:
    """Return a task for the big model."""
    return Task(recipe=recipe, source=str(models / "big.onnx"), items=str(items), folder=str(folder))


def test_items_survive_the_file(tmp_path: Path) -> None:
    """Names, types, shapes and order are kept, also past ten of them."""
    draw = np.random.default_rng(0)
    items = [{"a/b": draw.normal(size=(1, n + 1)), "ids": np.array([[n]])} for n in range(12)]
    save_items(tmp_path / "items.npz", items)
    for before, after in zip(items, load_items(tmp_path / "items.npz"), strict=True):
        assert list(before) == list(after)
        for name, array in before.items():
            np.testing.assert_array_equal(array, after[name])


def test_only_the_artifact_is_kept(
    models: Path, items: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Intermediate files go, the libraries' words do not reach the terminal, and what is left is counted down."""
    tasks = [
        task(models, tmp_path / "qdq", "onnxruntime-int8", items),
        task(models, tmp_path / "ir", "openvino-int8", items),
        task(models, tmp_path / "plain", "openvino"),
    ]
    left: list[int] = []
    assert build_all(tasks, left.append) == {}
    assert left == [2, 1, 0]
    assert {path.name for path in (tmp_path / "qdq").iterdir()} == RANGES
    assert {path.name for path in (tmp_path / "plain").iterdir()} == {"model.xml", "model.bin"}
    weights = {Path(name).with_suffix(".bin").name for name in RECIPES["openvino-int8"].artifacts}
    assert {path.name for path in (tmp_path / "ir").iterdir()} == {*RECIPES["openvino-int8"].artifacts} | weights
    assert capfd.readouterr() == ("", "")


def test_what_can_never_be_made_says_so_in_the_store(models: Path, items: Path, tmp_path: Path) -> None:
    """A library's refusal stands in the place of the artifact; the builder goes on with the next task."""
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    bad = Task(
        recipe="onnxruntime-int8", source=str(tmp_path / "bad.onnx"), items=str(items), folder=str(tmp_path / "bad")
    )
    good = task(models, tmp_path / "good", "openvino")
    assert build_all([bad, good, bad], lambda _: None) == {}
    assert [path.name for path in (tmp_path / "bad").iterdir()] == [REFUSAL]
    assert (tmp_path / "bad" / REFUSAL).read_text().startswith("its conversion failed: DecodeError")
    assert (tmp_path / "good" / "model.xml").exists()


def test_what_may_be_made_another_time_leaves_nothing(models: Path, tmp_path: Path) -> None:
    """A missing file, a full disk: the reason is returned, and the folder is not there."""
    gone = task(models, tmp_path / "gone", "onnxruntime-int8", tmp_path / "missing.npz")
    failed = build_all([gone], lambda _: None)
    assert "missing.npz" in failed[str(tmp_path / "gone")]
    assert not (tmp_path / "gone").exists()


def test_a_crash_fails_one_task_alone(models: Path, items: Path, tmp_path: Path) -> None:
    """When a builder is killed, its task is told, and another builder does the rest."""
    before = set(psutil.Process().children())
    killed: list[int] = []

    def kill_the_first() -> None:
        deadline = time.monotonic() + 20
        while not killed and time.monotonic() < deadline:
            for child in set(psutil.Process().children()) - before:
                child.kill()
                killed.append(child.pid)
                return
            time.sleep(0.005)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    tasks = [task(models, tmp_path / str(n), "onnxruntime-int8", items) for n in range(4)]
    failed = build_all(tasks, lambda _: None)
    killer.join()
    assert len(killed) == len(failed) == 1
    ((folder, reason),) = failed.items()
    assert "was killed by signal 9" in reason
    assert sum((tmp_path / str(n) / "minmax.onnx").exists() for n in range(4)) == 3
    assert not Path(folder).exists()
    assert set(psutil.Process().children()) <= before


def test_an_interruption_ends_the_builders_at_once(models: Path, items: Path, tmp_path: Path) -> None:
    """Whatever they are at; nothing of it stays."""
    before = set(psutil.Process().children())
    tasks = [
        task(models, tmp_path / "made" / str(n), "onnxruntime-int8", items) for n in range(4 * (os.cpu_count() or 1))
    ]

    def interrupt(_left: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_all(tasks, interrupt)
    assert set(psutil.Process().children()) <= before
    made = list((tmp_path / "made").iterdir())
    assert 1 <= len(made) < len(tasks)
    assert all({path.name for path in folder.iterdir()} == RANGES for folder in made)

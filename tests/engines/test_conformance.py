"""What every engine must do, whatever it runs."""

import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from heterosis.engines import ENGINES
from heterosis.terms import DYNAMIC, TensorSpec
from heterosis.terms.errors import EngineError

PINNED = """
import os, sys, time
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from pathlib import Path
import numpy as np
from heterosis.engines import ENGINES

session = ENGINES[sys.argv[1]].load(Path(sys.argv[2]), 2)
given = {"image": np.ones((1, 3, 256, 256), np.float32), "bias": np.zeros((1, 5), np.float32)}
session.run(given)
started, used = time.perf_counter(), time.process_time()
while time.perf_counter() - started < 0.5:
    session.run(given)
print((time.process_time() - used) / (time.perf_counter() - started))
"""

Kind = tuple[str, Path]
Inputs = dict[str, np.ndarray]


def inputs(batch: int, height: int = 6, width: int = 7, seed: int = 0) -> Inputs:
    """Make a batch that fits."""
    draw = np.random.default_rng(seed)
    return {
        "image": draw.normal(0, 1, (batch, 3, height, width)).astype(np.float32),
        "bias": draw.normal(0, 1, (batch, 5)).astype(np.float32),
    }


def test_specs_are_read_from_the_artifact(kind: Kind) -> None:
    """Names in the model's order, numpy's data types, -1 for lengths that vary."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    assert session.inputs == (
        TensorSpec(name="image", dtype="float32", shape=(DYNAMIC, 3, DYNAMIC, DYNAMIC)),
        TensorSpec(name="bias", dtype="float32", shape=(DYNAMIC, 5)),
    )
    assert session.outputs == (
        TensorSpec(name="scores", dtype="float32", shape=(DYNAMIC, 5)),
        TensorSpec(name="class", dtype="int64", shape=(DYNAMIC,)),
    )


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_any_batch_of_any_size_runs(kind: Kind, threads: int) -> None:
    """Batch size and dynamic axes may change from run to run; outputs have the promised types and shapes."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads)
    for batch, height, width in ((1, 6, 7), (4, 6, 7), (3, 9, 5), (1, 6, 7)):
        outputs = session.run(inputs(batch, height, width))
        assert list(outputs) == ["scores", "class"]
        for spec in session.outputs:
            assert spec.admits(outputs[spec.name].shape)
            assert len(outputs[spec.name]) == batch
            assert outputs[spec.name].dtype.name == spec.dtype


def test_rows_of_a_batch_do_not_mix(kind: Kind) -> None:
    """An item's output does not depend on what it shares a batch with."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    together = session.run(inputs(3))["scores"]
    for row in range(3):
        alone = session.run({name: array[row : row + 1] for name, array in inputs(3).items()})["scores"]
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_outputs_outlive_the_next_run(kind: Kind) -> None:
    """What a run returned is not overwritten by the next one, and does not alias its inputs."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    given = inputs(2)
    first = session.run(given)
    kept = {name: array.copy() for name, array in first.items()}
    given["bias"][:] = 99
    session.run(inputs(2, seed=1))
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("layout", ["read-only", "transposed", "sliced"])
def test_any_memory_layout_of_an_input_runs(kind: Kind, layout: str) -> None:
    """Read-only and non-contiguous arrays, as they come from slicing or from shared memory, give the same outputs."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    given = inputs(2)
    expected = session.run(given)["scores"]
    image = given["image"]
    if layout == "read-only":
        image.setflags(write=False)
    elif layout == "transposed":
        image = np.ascontiguousarray(image.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    else:
        image = np.repeat(image, 2, axis=3)[..., ::2]
    np.testing.assert_allclose(session.run({**given, "image": image})["scores"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: given.pop("bias"), "missing input 'bias'"),
        (lambda given: given.update(extra=given["bias"]), "unknown input 'extra'"),
        (
            lambda given: given.update(bias=given["bias"].astype(np.float64)),
            "'bias' has data type float64, wanted float32",
        ),
        (lambda given: given.update(bias=given["bias"][:, :4]), r"'bias' has shape \[2, 4\], wanted \[-1, 5\]"),
        (lambda given: given.update(bias=given["bias"][0]), r"'bias' has shape \[5\], wanted \[-1, 5\]"),
        (lambda given: given.update(bias=[[0.0] * 5] * 2), "'bias' is a list, wanted a numpy array"),
    ],
)
def test_unfit_inputs_are_refused_by_name(kind: Kind, change: Callable[[Any], None], said: str) -> None:
    """The error names the file, the tensor, what was given and what was wanted; the session lives on."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    given = inputs(2)
    change(given)
    with pytest.raises(EngineError, match=said) as error:
        session.run(given)
    assert str(artifact) in str(error.value)
    assert len(session.run(inputs(2))["class"]) == 2


def test_missing_file_is_named(kind: Kind) -> None:
    """A path that leads nowhere is said."""
    engine, artifact = kind
    gone = artifact.with_stem("gone")
    with pytest.raises(EngineError, match="no model file") as error:
        ENGINES[engine].load(gone, threads=1)
    assert str(gone) in str(error.value)


def test_unreadable_file_is_named(kind: Kind) -> None:
    """A file that is no model is refused by its path."""
    engine, artifact = kind
    artifact.write_bytes(b"no model at all")
    with pytest.raises(EngineError) as error:
        ENGINES[engine].load(artifact, threads=1)
    assert str(artifact) in str(error.value)


def test_closed_session_lets_go(kind: Kind) -> None:
    """After closing, nothing runs, and the session itself can be collected; closing twice is harmless."""
    engine, artifact = kind
    session = ENGINES[engine].load(artifact, threads=1)
    session.run(inputs(1))
    session.close()
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.run(inputs(1))
    gone = weakref.ref(session)
    del session
    assert gone() is None


def test_closing_gives_the_memory_back(heavy: Kind) -> None:
    """Loading, running and closing over and over does not let the process grow."""
    engine, artifact = heavy
    process = psutil.Process()
    sizes = []
    for _ in range(12):
        session = ENGINES[engine].load(artifact, threads=1)
        session.run(inputs(1, 256, 256))  # 32 MB of features
        session.close()
        sizes.append(process.memory_info().rss)
    assert sizes[-1] - sizes[3] < 100e6  # eight sessions kept would be 256 MB


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_honoured(threads: int, heavy: Kind) -> None:
    """As many threads of the process do the work as were asked for, however many cores there are."""
    if threads > (psutil.cpu_count() or 1):
        pytest.skip("not enough cores")
    engine, artifact = heavy
    session = ENGINES[engine].load(artifact, threads)
    given = inputs(1, 256, 256)
    session.run(given)
    process = psutil.Process()
    before = {thread.id: thread.user_time for thread in process.threads()}
    busy: list[float] = []
    worked_s = 0.0
    while worked_s < 0.6 or (len(busy) < threads and worked_s < 6):  # a busy machine may let a thread wait for long
        session.run(given)
        spent = [thread.user_time - before.get(thread.id, 0.0) for thread in process.threads()]
        busy = [seconds for seconds in spent if seconds > 0.1 * max(spent)]
        worked_s = sum(spent)
    assert len(busy) == threads


def test_pinning_holds_an_engine_to_its_cores(heavy: Kind) -> None:
    """A process that was given one core uses no more CPU time than passes, with two threads, too."""
    engine, artifact = heavy
    ratio = float(
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", PINNED, engine, str(artifact)], check=True, capture_output=True, text=True
        ).stdout
    )
    assert ratio <= 1.05

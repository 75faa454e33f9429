"""Builds artifacts in processes of their own.

The libraries write to the terminal, cannot be interrupted, and sometimes crash; none of that may touch who asked for a
variant. ``python -m heterosis.variants.building`` is such a process: it reads tasks from its standard input, a line of
JSON each, and answers each with a line: an empty string, or why it could not be done.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import msgspec
import numpy as np

from heterosis.terms.errors import EngineError
from heterosis.variants.exporting import onnx_of
from heterosis.variants.recipe import Items, Unsuited
from heterosis.variants.recipes import RECIPES
from heterosis.variants.store import new_folder

REFUSAL = "refused.txt"
"""Stands in a folder of the store in place of an artifact that cannot be made, and says why."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One folder to build: the name of the recipe, the model's file, what to calibrate with, and where it goes."""

    recipe: str
    source: str
    items: str
    folder: str


BESIDE = {".xml": ".bin", ".xmodel": ".json"}
"""OpenVINO keeps the weights in a file of their own; what an xmodel takes and gives is in another."""


def files_of(artifact: Path) -> list[Path]:
    """Return the files that an artifact consists of."""
    suffix = BESIDE.get(artifact.suffix)
    return [artifact, artifact.with_suffix(suffix)] if suffix else [artifact]


def save_items(path: Path, items: Items) -> Path:
    """Write inputs to calibrate with, and return where."""
    arrays: dict[str, Any] = {f"{n}/{name}": array for n, item in enumerate(items) for name, array in item.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return path


def load_items(path: Path) -> Items:
    """Read inputs to calibrate with."""
    items: dict[int, dict[str, np.ndarray[Any, Any]]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            items.setdefault(int(number), {})[name] = arrays[key]
    return list(items.values())


def build_all(tasks: Sequence[Task], progress: Callable[[int], object]) -> dict[str, str]:
    """Build several artifacts side by side, one for each core; ``progress`` hears how many are left.

    Return the reason for each folder that could not be made. Where a recipe cannot be applied to a model, that is no
    such case: the folder then says so, to be found the next time too.
    """
    failed = {}
    with ExitStack() as stack:
        builders = [stack.enter_context(_Builder()) for _ in os.sched_getaffinity(0)]
        idle: SimpleQueue[_Builder] = SimpleQueue()
        for builder in builders:
            idle.put(builder)

        def build(task: Task) -> None:
            builder = idle.get()
            try:
                builder.build(task)
            finally:
                idle.put(builder)

        pool = stack.enter_context(ThreadPoolExecutor(len(builders)))
        futures = {pool.submit(build, task): task for task in tasks}
        try:
            for finished, future in enumerate(as_completed(futures), start=1):
                try:
                    future.result()
                except EngineError as error:
                    failed[futures[future].folder] = str(error)
                progress(len(tasks) - finished)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for builder in builders:
                builder.kill()
            raise
    return failed


class _Builder:
    """A process that builds one artifact after the other; another takes its place if it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._wait()
        self._log.close()

    def kill(self) -> None:
        """End the process, and with it the waiting of whoever asked it for something."""
        with self._lock:
            self._killed = True
            process = self._process
        if process is not None:
            process.kill()

    def build(self, task: Task) -> None:
        """Build one artifact, or raise EngineError."""
        with new_folder(Path(task.folder)) as folder:
            answer = self._ask(msgspec.json.encode(msgspec.structs.replace(task, folder=str(folder))))
            if answer:
                raise EngineError(answer)
            refusal, made = folder / REFUSAL, set[Path]()
            for artifact in RECIPES[task.recipe].artifacts:
                made |= set(files_of(folder / artifact))
            for left in set(folder.iterdir()) - ({refusal} if refusal.exists() else made):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _ask(self, line: bytes) -> str:
        process = self._started()
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            process.stdin.write(line + b"\n")
        answer = process.stdout.readline()
        if answer:
            return msgspec.json.decode(answer, type=str)
        code = self._wait()
        self._log.seek(0)
        last_words = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"its conversion {how}: {last_words}"

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._killed:
                raise EngineError("its conversion was interrupted")
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", __name__],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._log,
                )
            return self._process

    def _wait(self) -> int:
        """Wait for the process to end, and close what led to it."""
        if self._process is None:
            return 0
        with self._process as process:
            code = process.wait()
        self._process = None
        return code


def main() -> None:
    """Build what standard input says, until it closes."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the libraries' own words
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_build(msgspec.json.decode(line, type=Task))) + b"\n")


def _build(task: Task) -> str:
    recipe, folder = RECIPES[task.recipe], Path(task.folder)
    make, source = recipe.make, Path(task.source)
    assert make is not None  # noqa: S101
    try:
        items = load_items(Path(task.items)) if task.items else ()
        make(source if source.suffix == ".tflite" else onnx_of(source, folder), items, folder)
    except (OSError, MemoryError) as error:
        return f"its conversion failed: {error}"  # another time it may work
    except Unsuited as reason:
        (folder / REFUSAL).write_text(str(reason))
    except Exception as error:  # noqa: BLE001 - whatever a library raises, it would raise again
        (folder / REFUSAL).write_text(f"its conversion failed: {type(error).__name__}: {error}")
    return ""


if __name__ == "__main__":
    main()

"""Builds artifacts in processes of their own.

The libraries write to the terminal, cannot be interrupted, and sometimes crash; none of that may touch who asked for a
variant. ``python -m heterosis.variants.building`` is such a process: it reads tasks from its standard input, a line of
JSON each, and answers each with a line: an empty string, or why it could not be done.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from heterosis.terms.errors import EngineError
from heterosis.variants.recipes import RECIPES, Items
from heterosis.variants.store import new_folder
from heterosis.variants.unsuited import Unsuited

REFUSAL = "refused.txt"
"""Stands in a folder of the store in place of an artifact that cannot be made, and says why."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact to build: the name of the recipe, the ONNX file, the inputs to calibrate with, and where it goes."""

    recipe: str
    source: str
    items: str
    folder: str


def save_items(path: Path, items: Items) -> None:
    """Write inputs to calibrate with."""
    arrays: dict[str, Any] = {f"{n}/{name}": array for n, item in enumerate(items) for name, array in item.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_items(path: Path) -> Items:
    """Read inputs to calibrate with."""
    items: dict[int, dict[str, np.ndarray[Any, Any]]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            number, _, name = key.partition("/")
            items.setdefault(int(number), {})[name] = arrays[key]
    return list(items.values())


async def build_all(tasks: Sequence[Task], progress: Callable[[int], object]) -> dict[str, str]:
    """Build several artifacts side by side, one for each core; ``progress`` hears how many are left.

    Return the reason for each folder that could not be made. Where a recipe cannot be applied to a model, that is no
    such case: the folder then says so, to be found the next time too.
    """
    waiting = list(reversed(tasks))
    left = len(tasks)
    failed = {}

    async def work() -> None:
        nonlocal left
        async with _Builder() as builder:
            while waiting:
                task = waiting.pop()
                try:
                    await builder.build(task)
                except EngineError as error:
                    failed[task.folder] = str(error)
                left -= 1
                progress(left)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(len(tasks), len(os.sched_getaffinity(0)))):
            group.create_task(work())
    return failed


class _Builder:
    """A process that builds one artifact after the other; another takes its place if it dies."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __aexit__

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
        self._log.close()

    async def build(self, task: Task) -> None:
        """Build one artifact, or raise EngineError."""
        with new_folder(Path(task.folder)) as folder:
            answer = await self._ask(msgspec.json.encode(msgspec.structs.replace(task, folder=str(folder))))
            if answer:
                raise EngineError(answer)
            refusal, artifact = folder / REFUSAL, folder / RECIPES[task.recipe].artifact
            made = {refusal} if refusal.exists() else {artifact, artifact.with_suffix(".bin")}
            for left in set(folder.iterdir()) - made:
                left.unlink()

    async def _ask(self, line: bytes) -> str:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", __name__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._log,
            )
        process = self._process
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(line + b"\n")
        answer = await process.stdout.readline()
        if answer:
            return msgspec.json.decode(answer, type=str)
        self._process = None
        code = await process.wait()
        self._log.seek(0)
        last_words = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"its conversion {how}: {last_words}"


def main() -> None:
    """Build what standard input says, until it closes."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the libraries' own words
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_build(msgspec.json.decode(line, type=Task))) + b"\n")


def _build(task: Task) -> str:
    make, folder = RECIPES[task.recipe].make, Path(task.folder)
    assert make is not None  # noqa: S101
    try:
        make(Path(task.source), load_items(Path(task.items)) if task.items else (), folder)
    except (OSError, MemoryError) as error:
        return f"its conversion failed: {error}"  # another time it may work
    except Unsuited as reason:
        (folder / REFUSAL).write_text(str(reason))
    except Exception as error:  # noqa: BLE001 - whatever a library raises, it would raise again
        (folder / REFUSAL).write_text(f"its conversion failed: {type(error).__name__}: {error}")
    return ""


if __name__ == "__main__":
    main()

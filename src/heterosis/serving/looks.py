"""Short looks at models (`heterosis.pipeline.probing`), each in a process of its own, and kept for the next start."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import msgspec

from heterosis.pipeline.probing import Probed, Question
from heterosis.terms.errors import EngineError

FORMAT = "probe 1"
"""Changes whenever what is looked at does."""


async def look(question: Question, store: Path | None) -> Probed:
    """Return what is found of a model; what ``store`` has of it already is not looked for again.

    Raise EngineError where it cannot be loaded.
    """
    file = None if store is None else store / "probes" / f"{await asyncio.to_thread(_key, question)}.json"
    found = None if file is None else await asyncio.to_thread(_read, file)
    if found is None:
        found = await _probe(question)
        if file is not None and not found.error:
            await asyncio.to_thread(_write, file, found)
    if not found.inputs and found.error:
        raise EngineError(found.error)
    return found


def _key(question: Question) -> str:
    status = Path(question.path).stat()
    known_by = (FORMAT, question, status.st_size, status.st_mtime_ns, sys.version)
    return hashlib.sha256(msgspec.json.encode(known_by)).hexdigest()[:32]


def _read(file: Path) -> Probed | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Probed)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(file: Path, found: Probed) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(found))
    partial.replace(file)


async def _probe(question: Question) -> Probed:
    """Look at a model in a process of its own: what a file does to an engine shall not befall the server."""
    read, write = os.pipe()
    try:
        asked = msgspec.structs.replace(question, answers=write)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from heterosis.pipeline.probing import main; main()",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(write,),
            start_new_session=True,
        )
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    with open(read, "rb", closefd=True) as answers:  # noqa: ASYNC230, PTH123 - a pipe, read on a thread
        try:
            _, words = await process.communicate(msgspec.json.encode(asked))
            answer = await asyncio.to_thread(answers.read)
        except BaseException:
            process.kill()
            raise
    try:
        return msgspec.json.decode(answer, type=Probed)
    except msgspec.DecodeError:
        last = words.decode(errors="replace").strip()[-400:]
        raise EngineError(
            f"{question.path}: the process that looked at it ended with {process.returncode}: {last}"
        ) from None

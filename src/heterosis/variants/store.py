"""Folders of the store: made once, complete or not there at all, whoever is interrupted."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes ``folder`` at the end, unless an error ends the filling.

    Where another process finished the same folder first, its content stays: folders of one name have one content.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    lock = os.open(made, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it when this process dies; see `sweep`
    try:
        yield made
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        os.close(lock)
        shutil.rmtree(made, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove what killed processes left unfinished."""
    for folder in parent.glob(f"{UNFINISHED}*"):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # its process lives
        finally:
            os.close(lock)

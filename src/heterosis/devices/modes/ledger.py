"""What a device was set to before we changed it, on disk, so that it is put back whatever becomes of us.

One file a device, locked by whoever has changed it for as long as that process lives. A file that is there and not
locked was left by one that died: `recover` puts back what it says. That runs at the next start, and at once in a small
process that waits for the end of ours (`Watcher`).
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from heterosis.devices.modes.actuator import Actuator, State
from heterosis.terms.errors import HardwareError

Open = Callable[[str, str, Path], Actuator]
"""Makes an actuator of a kind, for a device, under a root."""


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What an actuator read before it set anything."""

    actuator: str
    state: State


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a device's file holds."""

    device: str
    root: str
    before: tuple[Before, ...] = ()


class Ledger:
    """The file of one device, locked until it is closed."""

    def __init__(self, folder: Path, device: str, root: Path) -> None:
        """Take the device. Raise HardwareError where another process has it, or nothing can be written."""
        self.path = folder / f"{device}.json"
        self._entry = Entry(device=device, root=str(root))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HardwareError(
                f"power modes need a place to note what was before, and {folder} cannot be written: {error.strerror}"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise HardwareError(f"another process has set the power mode of {device}, and still runs") from None

    def note(self, before: Before) -> None:
        """Write down what was, before it is changed."""
        self._entry = msgspec.structs.replace(self._entry, before=(*self._entry.before, before))
        os.pwrite(self._descriptor, msgspec.json.encode(self._entry), 0)
        os.fsync(self._descriptor)

    def close(self, *, settled: bool) -> None:
        """Let go of the device; ``settled`` where all is as it was, so that nothing is left to put back."""
        if settled:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def recover(folder: Path, open_actuator: Open) -> Iterator[str]:
    """Put back what processes left that are gone; say for each device what was done, or what could not be."""
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an owner that lives has it: not ours to touch
            content = file.read()
            entry, failed = None, ["what is noted there is damaged"]
            with contextlib.suppress(msgspec.MsgspecError):
                entry = msgspec.json.decode(content, type=Entry) if content else None
                failed = _put_back(entry, open_actuator) if entry else []
            if failed:
                yield f"{path.stem} may not be what it was before a process that died: {'; '.join(failed)}; see {path}"
                continue
            path.unlink(missing_ok=True)
            if entry:
                yield f"{entry.device} was put back to what it was before a process that died"


def _put_back(entry: Entry, open_actuator: Open) -> list[str]:
    """Put back what an entry says; return what failed."""
    failed = []
    for before in entry.before:
        try:
            open_actuator(before.actuator, entry.device, Path(entry.root)).restore(before.state)
        except HardwareError as error:
            failed.append(str(error))
    return failed


WATCH = """
import sys
sys.stdin.buffer.read()  # until our end of the pipe closes, however that comes
from pathlib import Path
from heterosis.devices.modes.registry import open_actuator
from heterosis.devices.modes.ledger import recover
for said in recover(Path(sys.argv[1]), open_actuator):
    print(said, file=sys.stderr)
"""


class Watcher:
    """A process that outlives ours by as long as it takes to put back what we changed, even where we are killed."""

    def __init__(self, folder: Path) -> None:
        """Start it. It gets a session of its own, so that what ends ours does not end it."""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", WATCH, str(folder)], stdin=subprocess.PIPE, start_new_session=True
        )

    def close(self) -> None:
        """End it: all is as it was."""
        self._process.kill()
        self._process.communicate()

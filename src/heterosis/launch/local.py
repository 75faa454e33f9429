"""Workers as child processes on this machine."""

import asyncio
import contextlib
import os
import signal
import sys

import msgspec

from heterosis.launch.launcher import Ended
from heterosis.terms import Placement

KILL_AFTER_S = 5.0

WORKER = """
import os, sys
if sys.argv[1:]:
    os.sched_setaffinity(0, map(int, sys.argv[1:]))
from heterosis.serving.worker import main
main()
"""
"""Pins the process to the cores named before anything is imported that makes threads, numpy's linear algebra for one.

Slot k of a CPU is the k-th core that the server may use.
"""


class LocalLauncher:
    """Starts workers as children. They get a session of their own, so that Ctrl-C reaches only the server."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, placement: Placement, address: str, token: str, ended: Ended) -> None:
        """Start a child; its secrets go through its standard input, where no other process can read them."""
        cores = sorted(os.sched_getaffinity(0))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WORKER,
            *(str(cores[slot]) for slot in placement.slots),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._processes[placement.instance] = process
        assert process.stdin is not None  # noqa: S101
        join = {"address": address, "instance": placement.instance, "token": token}
        process.stdin.write(msgspec.json.encode(join) + b"\n")
        watcher = asyncio.create_task(self._watch(placement.instance, process, ended))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def stop(self, instance: str) -> None:
        """Close the child's input, and kill it where it does not end by itself."""
        process = self._processes.get(instance)
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), KILL_AFTER_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def pids(self) -> dict[str, int]:
        """The children that are alive."""
        return {name: process.pid for name, process in self._processes.items()}

    async def _watch(self, instance: str, process: asyncio.subprocess.Process, ended: Ended) -> None:
        code = await process.wait()
        if self._processes.get(instance) is process:
            del self._processes[instance]
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        ended(instance, f"worker process {process.pid} {reason}")

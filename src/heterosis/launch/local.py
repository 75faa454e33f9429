"""Workers as child processes on this machine.

A worker has a process of its own, pinned to its slots. Emulated workers only sleep: those of a node share a process,
which is pinned to nothing, since their slots are those of devices that are not here.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass, field

from heterosis.engines.emulated import EmulatedEngine
from heterosis.launch.control import FromProcess, Join, Leave, Left, ToProcess, decode_news, encode_line
from heterosis.launch.launcher import Ended
from heterosis.terms import Placement, Variant

KILL_AFTER_S = 5.0

HOST = """
import os, sys
if sys.argv[1:]:
    os.sched_setaffinity(0, map(int, sys.argv[1:]))
from heterosis.serving.host import main
main()
"""
"""Pins the process to the cores named before anything is imported that makes threads, numpy's linear algebra for one.

Slot k of a CPU is the k-th core that the server may use.
"""


@dataclass(slots=True)
class _Instance:
    """An instance that runs in a process."""

    ended: Ended
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    last_words: str = ""


@dataclass(slots=True)
class _Host:
    """A worker process, with the instances in it that are not gone."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    instances: dict[str, _Instance] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it can take another instance: it lives, and has not been told to end."""
        return self.process.returncode is None and not self.writer.is_closing()

    def say(self, message: ToProcess) -> None:
        """Tell the process; where it is dead, `LocalLauncher` will hear of that."""
        if self.open:
            self.writer.write(encode_line(message))

    def close_if_done(self) -> bool:
        """Let the process end where all its instances are to end."""
        done = all(instance.stopping for instance in self.instances.values())
        if done:
            self.writer.close()
        return done

    def gone(self, name: str, reason: str) -> None:
        """Report one instance's end."""
        instance = self.instances.pop(name)
        instance.gone.set()
        instance.ended(name, instance.last_words or reason)


class LocalLauncher:
    """Starts workers as children. They get a session of their own, so that Ctrl-C reaches only the server."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._hosts: dict[int, _Host] = {}
        """By process number."""
        self._shared: dict[str, _Host] = {}
        """Of emulated workers, by node: so a node can be killed, as one that is there can."""
        self._sharing = asyncio.Lock()
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self, placement: Placement, variant: Variant, address: str, token: str, ended: Ended) -> None:
        """Start a worker; its secrets go through the standard input of its process, where no other can read them."""
        if variant.engine == EmulatedEngine.name:
            async with self._sharing:
                shared = self._shared.get(placement.node)
                if shared is None or not shared.open:
                    shared = self._shared[placement.node] = await self._start_host()
                host = shared
        else:
            cores = sorted(os.sched_getaffinity(0))
            host = await self._start_host(*(cores[slot] for slot in placement.slots))
        host.instances[placement.instance] = _Instance(ended)
        host.say(Join(address=address, instance=placement.instance, token=token))

    async def stop(self, instance: str) -> None:
        """End the instance, and its process with the last of it; kill the process where it does not do as told."""
        for host in self._hosts.values():
            if instance in host.instances:
                break
        else:
            return
        held = host.instances[instance]
        held.stopping = True
        if not host.close_if_done():
            host.say(Leave(instance=instance))
        try:
            await asyncio.wait_for(held.gone.wait(), KILL_AFTER_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                host.process.kill()

    def pids(self) -> dict[str, int]:
        """The processes of the instances that are alive."""
        return {name: pid for pid, host in self._hosts.items() for name in host.instances}

    async def _start_host(self, *cores: int) -> _Host:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", HOST, *map(str, cores), stdin=theirs.fileno(), start_new_session=True
            )
        host = _Host(process, *await asyncio.open_unix_connection(sock=ours))
        self._hosts[process.pid] = host
        watcher = asyncio.create_task(self._watch(host))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return host

    async def _watch(self, host: _Host) -> None:
        """Report what ends in a process, and in the end the process itself."""
        # Not only the end of the stream counts: a child that the worker itself has started could keep it open.
        listening = asyncio.create_task(_listen(host))
        code = await host.process.wait()
        listening.cancel()
        host.writer.close()
        del self._hosts[host.process.pid]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        for name in list(host.instances):
            host.gone(name, f"worker process {host.process.pid} {how}")


async def _listen(host: _Host) -> None:
    with contextlib.suppress(ConnectionError):
        async for line in host.reader:
            _heard(host, decode_news(line))


def _heard(host: _Host, news: FromProcess) -> None:
    assert isinstance(news, Left)  # noqa: S101 - who was started by us has nothing to offer
    instance = host.instances[news.instance]
    instance.stopping = True
    instance.last_words = f"worker process {host.process.pid} ended it: {news.reason}"
    if not host.close_if_done():  # else the end of the process will tell
        host.gone(news.instance, instance.last_words)

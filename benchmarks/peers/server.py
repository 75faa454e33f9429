"""A peer while it serves: its processes from the start to the end."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.peers.cpu import tree_cpu_seconds
from benchmarks.peers.memory import Memory, tree_memory
from benchmarks.peers.models import Model
from benchmarks.peers.peer import Peer

PROGRAMS = Path(__file__).parent / "programs"
METERED = Path(__file__).parent / "metered"
STOP_SECONDS = 20.0


class StartError(Exception):
    """A server that does not come up; the message has the last that it said."""


class Batching(msgspec.Struct, frozen=True):
    """How a server may batch across requests; not at all with ``max_batch`` 1."""

    max_batch: int = 1
    wait_ms: float = 0.0


class Server(msgspec.Struct, frozen=True):
    """A server that runs."""

    pid: int
    port: int
    grpc_port: int
    log: str
    """The file that its words go to."""
    meter: str
    """The folder where its processes count what they spend inside the engine (`metered`)."""

    def cpu_seconds(self) -> float:
        """CPU time so far, of all its processes."""
        return tree_cpu_seconds(self.pid)

    def engine_cpu_seconds(self) -> float:
        """CPU time so far inside the engine, of all its processes; 0 where they do not run it from Python."""
        counts = (file.read_bytes() for file in Path(self.meter).iterdir())
        return sum(int.from_bytes(each[:8], sys.byteorder) for each in counts) / 1e9

    def last_words(self) -> str:
        """What it said last."""
        return _last_words(Path(self.log))

    def memory(self) -> Memory:
        """Memory of all its processes."""
        return tree_memory(self.pid)


@contextmanager
def running(peer: Peer, python: str, model: Model, batching: Batching, threads: int = 1) -> Iterator[Server]:
    """Start a server, and end it with everything that it has started."""
    port, grpc_port = free_port(), free_port()
    inherited = {**os.environ, **peer.environment}
    environment = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(METERED), inherited.get("PYTHONPATH")))),
        "PEER_MODEL": model.path,
        "PEER_MODEL_MS": str(model.engine_ms),
        "PEER_PORT": str(port),
        "PEER_GRPC_PORT": str(grpc_port),
        "PEER_THREADS": str(threads),
        "PEER_MAX_BATCH": str(batching.max_batch),
        "PEER_WAIT_MS": str(batching.wait_ms),
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+b") as log:
        meter = Path(folder) / "engine"
        meter.mkdir()
        environment["PEER_METER"] = str(meter)
        process = subprocess.Popen(  # noqa: S603 - a program of this folder
            [python, str(PROGRAMS / f"{peer.name}_server.py")],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            _wait_open(peer, process, port, Path(folder) / "log")
            yield Server(process.pid, port, grpc_port, str(Path(folder) / "log"), str(meter))
        finally:
            _end(process)


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_open(peer: Peer, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up = time.monotonic() + peer.start_seconds
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise StartError(f"it ended with status {process.returncode}: {_last_words(log)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise StartError(f"it does not listen after {peer.start_seconds:g} s: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:] or "it said nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue

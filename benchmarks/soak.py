"""A long load, with clients killed at random: what grows, and what fails.

The server runs at about 80 % of what it can do: 60 % are asked for by clients that stay, 20 % by ones that are killed
(SIGKILL, in the middle of whatever they send or wait for) after half a second to three. Each time the requests that
come meanwhile wait, so memory goes up and down with them. Memory (what the server's processes have written) and open
files are read every second; the minute that follows the first is held against the last. What memory comes down to in a
minute, at its least, must not have grown: a leak would show there, and a crowd that happens to be larger does not. Of
open files, clients' connections come and go with the clients, so they are counted apart; once no client is left, there
must be none. Only the clients that stay can tell of errors, and must have none.
"""

import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import msgspec

from benchmarks.peers import generator
from benchmarks.peers.memory import Memory
from benchmarks.peers.models import example, make_models
from benchmarks.peers.server import Batching, Server, running
from benchmarks.peers.servers import PEERS
from benchmarks.peers.trial import Program

SECONDS = 600.0
SETTLED_S = 60.0
WINDOW_S = 60.0
"""What is compared: so long after it has settled, and so long at the end."""
MOST_GROWN = 0.02
"""Of what memory comes down to: what the heap may keep of a crowd larger than all before."""
PROBE_S = 5.0
STAYING, KILLED = 0.6, 0.2
LIVES_S = (0.5, 3.0)
LINGER_S = 3.0
"""Given to the server to notice that all are gone."""


def run(seconds: float = SECONDS, settled_s: float = SETTLED_S) -> dict[str, float]:
    """Run it, and return what grew, and what failed."""
    peer = PEERS["heterosis"]
    target = peer.forms["binary"].encode(example())
    with TemporaryDirectory() as folder:
        (model,) = make_models(Path(folder), (1.0,))
        with running(peer, sys.executable, model, Batching()) as server:
            staying = Program("benchmarks.peers.generator")
            try:
                order = generator.Order(port=server.port, target=target, seconds=PROBE_S, clients=8)
                probed = offer(staying, order)
                capacity = probed.count / probed.seconds
                over = Event()
                mayfly = generator.Order(port=server.port, target=target, seconds=60, rate=KILLED * capacity)
                killing = Thread(target=kill_clients, args=(mayfly, over))
                readings: list[Reading] = []
                reading = Thread(target=read, args=(server, readings, over))
                killing.start()
                reading.start()
                try:
                    order = generator.Order(port=server.port, target=target, seconds=seconds, rate=STAYING * capacity)
                    figures = offer(staying, order)
                finally:
                    over.set()
                    killing.join()
                    reading.join()
            finally:
                staying.close()
            time.sleep(LINGER_S)
            _, left = open_files(server)
    settled = [each for each in readings if each.at_s >= settled_s]
    window_s = min(WINDOW_S, (seconds - settled_s) / 2)
    first = [each for each in settled if each.at_s < settled_s + window_s]
    last = [each for each in settled if each.at_s >= seconds - window_s]
    return {
        "capacity, requests/s": capacity,
        "answered to clients that stay": figures.count,
        "errors": figures.errors,
        "p50 ms": figures.p50_ms,
        "p99 ms": figures.p99_ms,
        "least memory once settled, MB": least_mb(first),
        "least memory at the end, MB": least_mb(last),
        "median memory once settled, MB": median_mb(first),
        "median memory at the end, MB": median_mb(last),
        "most memory in between, MB": max(each.memory.written for each in settled) / 2**20,
        "code and other files beside it, MB": statistics.median(each.memory.files for each in settled) / 2**20,
        "open files but connections, once settled": statistics.median(each.files for each in first),
        "open files but connections, at the end": statistics.median(each.files for each in last),
        "connections once settled": statistics.median(each.connections for each in first),
        "connections at the end": statistics.median(each.connections for each in last),
        "connections once no client is left": left,
    }


def faults(figures: Mapping[str, float]) -> list[str]:
    """Say what is wrong with what was found."""
    found = []
    if figures["errors"]:
        found.append(f"{figures['errors']:.0f} requests of clients that stayed failed")
    before, after = figures["least memory once settled, MB"], figures["least memory at the end, MB"]
    if after > before * (1 + MOST_GROWN):
        found.append(f"memory grew: it came down to {before:.1f} MB once settled, and to {after:.1f} MB at the end")
    before, after = (figures[f"open files but connections, {when}"] for when in ("once settled", "at the end"))
    if after > before:
        found.append(f"open files grew from {before:.0f} to {after:.0f}")
    if left := figures["connections once no client is left"]:
        found.append(f"{left:.0f} connections of clients that are gone were still open")
    return found


def offer(program: Program, order: generator.Order) -> generator.Figures:
    """Have a load offered, and wait for its end."""
    for _ in range(20):
        program.say(order)
        if program.hear().strip() == b"ready":
            break
        time.sleep(0.5)  # the server is not there yet
    program.go()
    return msgspec.json.decode(program.hear(), type=generator.Figures)


def kill_clients(order: generator.Order, over: Event) -> None:
    """Start clients and kill them, again and again."""
    draw = random.Random(5)  # noqa: S311 - no secret
    while not over.is_set():
        program = Program("benchmarks.peers.generator")
        program.say(order)
        if program.hear().strip() == b"ready":
            program.go()
            over.wait(draw.uniform(*LIVES_S))
        program.close()


class Reading(msgspec.Struct, frozen=True):
    """What a server holds at a moment."""

    at_s: float
    memory: Memory
    files: int
    """Open ones of all its processes, but for clients' connections."""
    connections: int


def least_mb(readings: Sequence[Reading]) -> float:
    """What memory came down to."""
    return min(each.memory.written for each in readings) / 2**20


def median_mb(readings: Sequence[Reading]) -> float:
    """What it mostly was."""
    return statistics.median(each.memory.written for each in readings) / 2**20


def read(server: Server, readings: list[Reading], over: Event) -> None:
    """Note memory and open files every second, and tell of them every minute."""
    started = time.monotonic()
    while not over.wait(1.0):
        readings.append(Reading(time.monotonic() - started, server.memory(), *open_files(server)))
        if len(readings) % 60 == 0:
            tell(readings[-60:])


def tell(readings: Sequence[Reading]) -> None:
    """Say how it stands."""
    most = max(each.memory.written for each in readings) / 2**20
    last = readings[-1]
    print(
        f"{last.at_s:5.0f} s  {least_mb(readings):6.1f} to {most:6.1f} MB (median {median_mb(readings):6.1f}), "
        f"{last.files} open files, {last.connections} connections",
        file=sys.stderr,
        flush=True,
    )


def open_files(server: Server) -> tuple[int, int]:
    """Open files of all processes of a server, but for clients' connections, and those."""
    import psutil

    root = psutil.Process(server.pid)
    files = sum(each.num_fds() for each in (root, *root.children(recursive=True)))
    ports = {server.port, server.grpc_port}
    connections = sum(
        each.status != psutil.CONN_LISTEN and bool(each.laddr) and each.laddr.port in ports
        for each in root.net_connections("tcp")
    )
    return files - connections, connections

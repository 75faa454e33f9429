"""Our server and its peers side by side: the same model, engine threads and payloads, each by turns with the engine.

Peers are installed, pinned, into environments of their own the first time. One that cannot be installed or started is
named with the reason. The steady figure is the server's CPU time per request, over all its processes, above that of
the bare engine loop, which is measured by turns with it: everything here shares the cores of one machine. What of it
was outside of the engine's runs is counted by the server's own processes, and steadier where the engine takes long.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.peers.environments import InstallError, default_cache, python_of
from benchmarks.peers.models import TARGETS_MS, make_models
from benchmarks.peers.peer import Peer, Protocol
from benchmarks.peers.server import Batching, StartError, running
from benchmarks.peers.servers import PEERS
from benchmarks.peers.table import line, print_rows
from benchmarks.peers.trial import Bench, Length, Load, NoAnswerError, Row, WrongAnswerError, bench

PROTOCOLS: tuple[Protocol, ...] = ("binary", "json", "grpc")
LOADS = (Load(clients=1), Load(clients=8), Load(clients=64), Load(share=0.5), Load(share=0.8))
QUICK_LOADS = (Load(clients=8),)
BATCHING = {"off": Batching(), "on": Batching(max_batch=16, wait_ms=2.0)}
LENGTH = Length()
QUICK_LENGTH = Length(rounds=3, bare_s=0.5, load_s=1.5)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, or one of its protocols, that could not be measured."""

    server: str
    what: str
    reason: str


class Tour:
    """Goes from server to server and keeps what it finds."""

    def __init__(self, asked: argparse.Namespace) -> None:
        """Take what was asked on the command line."""
        self.rows: list[Row] = []
        self.failures: list[Failure] = []
        self._asked = asked

    def run(self) -> None:
        """Install all, and measure each under every model."""
        pythons = dict(self._installed())
        with TemporaryDirectory() as folder:
            for model in make_models(Path(folder), tuple(self._asked.models)):
                with bench(model, QUICK_LENGTH if self._asked.quick else LENGTH) as ready:
                    for name, python in pythons.items():
                        for row in self._rows(ready, PEERS[name], python):
                            self.rows.append(row)
                            _say(line(row))
                            self.save()

    def save(self) -> None:
        """Write down what there is, where that is wanted."""
        if self._asked.json:
            found = {"rows": self.rows, "failures": self.failures}
            self._asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))

    def _installed(self) -> Iterator[tuple[str, str]]:
        for name in self._asked.servers:
            _say(f"{name}: installing" if PEERS[name].packages else f"{name}: this source tree")
            try:
                yield name, python_of(PEERS[name], self._asked.cache)
            except InstallError as error:
                self._failed(name, "installing", str(error))

    def _rows(self, ready: Bench, peer: Peer, python: str) -> Iterator[Row]:
        for label in self._asked.batching:
            spoken = peer.forms if label == "off" else peer.batched
            protocols = [
                protocol for protocol in self._asked.protocols if protocol in spoken and protocol in peer.forms
            ]
            if not protocols:
                continue
            batching = BATCHING[label]
            try:
                with running(peer, python, ready.model, batching) as server:
                    for protocol in protocols:
                        try:
                            for load in QUICK_LOADS if self._asked.quick else LOADS:
                                yield ready.measure(peer, server, protocol, batching, load)
                        except (NoAnswerError, WrongAnswerError, KeyError, ValueError) as error:
                            self._failed(peer.name, protocol, f"{error}; it said last: {server.last_words()}")
            except StartError as error:
                self._failed(peer.name, "starting", str(error))

    def _failed(self, server: str, what: str, reason: str) -> None:
        self.failures.append(Failure(server=server, what=what, reason=reason))
        _say(f"{server}, {what}: {reason}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Install, measure, print."""
    tour = Tour(_parser().parse_args(arguments))
    try:
        tour.run()
    except KeyboardInterrupt:
        _say("stopped; what was measured so far:")
    print_rows(tour.rows)
    for failure in tour.failures:
        print(f"{failure.server}, {failure.what}: {failure.reason}")
    tour.save()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--servers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=f"any of: {', '.join(PEERS)}"
    )
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--models", nargs="+", type=float, default=TARGETS_MS, metavar="MS", help="engine time of each")
    parser.add_argument("--batching", nargs="+", choices=BATCHING, default=list(BATCHING))
    parser.add_argument("--quick", action="store_true", help="8 clients only, fewer and shorter rounds")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the environments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, too")
    return parser


if __name__ == "__main__":
    main()

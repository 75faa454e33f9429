"""Our server and its peers side by side: the same model, engine threads and payloads, each by turns with the engine.

Peers are installed, pinned, into environments of their own the first time. One that cannot be installed or started is
named with the reason. The steady figure is the server's CPU time per request, over all its processes, above that of
the bare engine loop, which is measured by turns with it: everything here shares the cores of one machine. What of it
was outside of the engine's runs is counted by the server's own processes, and steadier where the engine takes long.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.peers.environments import InstallError, default_cache, python_of
from benchmarks.peers.models import TARGETS_MS, make_models
from benchmarks.peers.peer import Peer, Protocol
from benchmarks.peers.server import Batching, Server, StartError, running
from benchmarks.peers.servers import PEERS
from benchmarks.peers.table import line, print_rows
from benchmarks.peers.trial import Bench, Length, Load, NoAnswerError, Row, Trial, WrongAnswerError, bench

PROTOCOLS: tuple[Protocol, ...] = ("binary", "json", "grpc")
LOADS = (Load(clients=1), Load(clients=8), Load(clients=64), Load(share=0.5), Load(share=0.8))
QUICK_LOADS = (Load(clients=8),)
BATCHING = {"off": Batching(), "on": Batching(max_batch=16, wait_ms=2.0)}
LENGTH = Length()
QUICK_LENGTH = Length(rounds=3, bare_s=0.5, load_s=1.5)


Pythons = Mapping[str, str]
"""The interpreters of servers, by name."""


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
                with bench(model, self._length()) as ready:
                    for label in self._asked.batching:
                        for group in self._groups(pythons):
                            for row in self._rows(ready, label, group):
                                self.rows.append(row)
                                _say(line(row))
                                self.save()

    def _length(self) -> Length:
        length = QUICK_LENGTH if self._asked.quick else LENGTH
        return msgspec.structs.replace(length, rounds=self._asked.rounds or length.rounds)

    def _groups(self, pythons: Pythons) -> list[Pythons]:
        """What is up at once."""
        return [pythons] if self._asked.together else [{name: python} for name, python in pythons.items()]

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

    def _rows(self, ready: Bench, label: str, group: Pythons) -> Iterator[Row]:
        with ExitStack() as stack:
            up = dict(self._up(ready, label, group, stack))
            for protocol in self._asked.protocols:
                speak = [name for name in up if protocol in _spoken(PEERS[name], label)]
                for load in QUICK_LOADS if self._asked.quick else LOADS:
                    trials = [Trial(ready, PEERS[name], up[name], protocol, BATCHING[label], load) for name in speak]
                    for each in self._turns(trials):
                        yield each.row()

    def _up(self, ready: Bench, label: str, group: Pythons, stack: ExitStack) -> Iterator[tuple[str, Server]]:
        """Start the servers that speak any of the protocols, until the stack is unwound."""
        for name, python in group.items():
            if not _spoken(PEERS[name], label).isdisjoint(self._asked.protocols):
                try:
                    server = stack.enter_context(running(PEERS[name], python, ready.model, BATCHING[label]))
                except StartError as error:
                    self._failed(name, "starting", str(error))
                else:
                    yield name, server

    def _turns(self, trials: list[Trial]) -> list[Trial]:
        """Let all have their turns, one way and back; return those that did not fail."""
        for _ in range(self._length().rounds):
            for trial in trials.copy():
                try:
                    trial.turn()
                except (NoAnswerError, WrongAnswerError, KeyError, ValueError) as error:
                    self._failed(trial.peer.name, trial.protocol, f"{error}; it said last: {trial.server.last_words()}")
                    trials.remove(trial)
            trials.reverse()
        return sorted(trials, key=lambda trial: self._asked.servers.index(trial.peer.name))

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


def _spoken(peer: Peer, label: str) -> frozenset[Protocol]:
    """The protocols in which a server is measured, with batches or without."""
    return frozenset(peer.forms if label == "off" else set(peer.batched) & set(peer.forms))


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
    parser.add_argument(
        "--together", action="store_true", help="have all servers up at once, and load them by turns: steadier ratios"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each load; 5, or 3 with --quick")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the environments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, too")
    return parser


if __name__ == "__main__":
    main()

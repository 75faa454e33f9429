"""Our server and its peers side by side: the same model, engine threads and payloads, each in turn with the bare engine.

Peers are installed, pinned, into environments of their own the first time. One that cannot be installed or started is
named with the reason. The steady figure is the server's CPU time per request, over all its processes, above that of
the bare engine loop, which is measured by turns with it: everything here shares the cores of one machine.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.peers.environments import InstallError, default_cache, python_of
from benchmarks.peers.models import TARGETS_MS, Model, make_models
from benchmarks.peers.peer import Peer, Protocol
from benchmarks.peers.server import Batching, StartError, running
from benchmarks.peers.servers import PEERS
from benchmarks.peers.table import print_rows
from benchmarks.peers.trial import Bench, Length, Load, NoAnswerError, Row, WrongAnswerError, bench

LOADS = (Load(clients=1), Load(clients=8), Load(clients=64), Load(share=0.5), Load(share=0.8))
QUICK_LOADS = (Load(clients=8),)
BATCHING = Batching(max_batch=16, wait_ms=2.0)
LENGTH = Length()
QUICK_LENGTH = Length(rounds=3, bare_s=0.5, load_s=1.5)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, or one of its protocols, that could not be measured."""

    server: str
    what: str
    reason: str


class Results(msgspec.Struct, kw_only=True):
    """All that came out."""

    rows: list[Row]
    failures: list[Failure]


def main(arguments: Sequence[str] | None = None) -> None:
    """Install, measure, print."""
    asked = _parser().parse_args(arguments)
    results = Results(rows=[], failures=[])
    say: Callable[[str], object] = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731 - one line
    pythons: dict[str, str] = {}
    for name in asked.servers:
        say(f"{name}: installing" if PEERS[name].packages else f"{name}: this source tree")
        try:
            pythons[name] = python_of(PEERS[name], asked.cache)
        except InstallError as error:
            results.failures.append(Failure(server=name, what="installing", reason=str(error)))
    with TemporaryDirectory() as folder:
        for model in make_models(Path(folder), tuple(asked.models)):
            with bench(model, QUICK_LENGTH if asked.quick else LENGTH) as ready:
                for name, python in pythons.items():
                    for row in _server(ready, PEERS[name], python, asked, results.failures):
                        results.rows.append(row)
                        say(
                            f"{row.server}, {row.model}, {row.protocol}, {row.clients} clients"
                            f"{', batching' if row.batching else ''}: {row.rps:.0f}/s, "
                            f"{row.overhead_cpu_ms_per_request:.2f} ms of CPU above the engine"
                        )
                        if asked.json:
                            asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    print_rows(results.rows)
    for failure in results.failures:
        print(f"{failure.server}, {failure.what}: {failure.reason}")
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


def _server(ready: Bench, peer: Peer, python: str, asked: argparse.Namespace, failures: list[Failure]) -> Iterator[Row]:
    for batching in (Batching(), BATCHING):
        protocols = [
            protocol
            for protocol in peer.forms
            if protocol in asked.protocols and (batching.max_batch == 1 or protocol in peer.batched)
        ]
        if not protocols or ("on" if batching.max_batch > 1 else "off") not in asked.batching:
            continue
        try:
            with running(peer, python, ready.model, batching) as server:
                yield from _protocols(ready, peer, protocols, batching, server, asked, failures)
        except StartError as error:
            failures.append(Failure(server=peer.name, what="starting", reason=str(error)))


def _protocols(  # noqa: PLR0913 - one for each part of a cell
    ready: Bench, peer: Peer, protocols: Sequence[Protocol], batching: Batching, server, asked, failures
) -> Iterator[Row]:
    for protocol in protocols:
        for load in QUICK_LOADS if asked.quick else LOADS:
            try:
                yield ready.measure(peer, server, protocol, batching, load)
            except (NoAnswerError, WrongAnswerError, KeyError, ValueError) as error:
                failures.append(Failure(server=peer.name, what=protocol, reason=f"{type(error).__name__}: {error}"))
                break


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--protocols", nargs="+", choices=("binary", "json", "grpc"), default=["binary", "json", "grpc"])
    parser.add_argument("--models", nargs="+", type=float, default=TARGETS_MS, metavar="MS", help="engine time of a model")
    parser.add_argument("--batching", nargs="+", choices=("off", "on"), default=["off", "on"])
    parser.add_argument("--quick", action="store_true", help="8 clients only, fewer and shorter rounds")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the environments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file, too")
    return parser


if __name__ == "__main__":
    main()

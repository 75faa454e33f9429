"""The server's own process: one request after the other, before the scheduling core sees them."""

from collections.abc import Iterable, Iterator

from heterosis.simulation.workload import Arrival
from heterosis.terms import Overhead


class Front:
    """Holds requests up as `Overhead` says. All its work on a request is taken to come before its calls."""

    def __init__(self, overhead: Overhead) -> None:
        """Be idle."""
        self._wall_s, self._cpu_s = overhead.wall_ms / 1e3, overhead.cpu_ms / 1e3

    def passed(self, arrivals: Iterable[Arrival]) -> Iterator[tuple[float, Arrival]]:
        """Give each request with the moment at which its calls can begin; both in order of time."""
        if not self._wall_s and not self._cpu_s:
            yield from ((arrival.at, arrival) for arrival in arrivals)
            return
        free = last = 0.0
        for arrival in arrivals:
            begin = max(arrival.at, free)
            free = begin + self._cpu_s
            last = max(last, begin + self._wall_s)
            yield last, arrival

"""The server's own process: one request after the other, before the scheduling core sees them."""

from collections import deque
from collections.abc import Iterable, Iterator

from heterosis.simulation.kernel import Kernel
from heterosis.simulation.lives import Entered, Happening
from heterosis.simulation.machines import Machines
from heterosis.simulation.workload import Arrival
from heterosis.terms import Overhead


class Front:
    """Holds requests up as `Overhead` says. All its work on a request is taken to come before its calls."""

    def __init__(self, overhead: Overhead, kernel: Kernel[Happening], machines: Machines) -> None:
        """Be idle."""
        self._kernel = kernel
        self._wall_s, self._cpu_s = overhead.front_ms / 1e3, overhead.cpu_ms / 1e3
        self._machines = machines
        self._waiting: deque[Arrival] = deque()
        self.shares = bool(overhead.cores and self._cpu_s)
        """Whether it is on the cores that the instances run on; then it is told of arrivals one by one."""
        self.holds = 0
        """Requests that have come and not entered yet."""

    def passed(self, arrivals: Iterable[Arrival]) -> Iterator[tuple[float, Arrival]]:
        """Give each request with the moment at which its calls can begin, on a machine of its own; in order of time."""
        if not self._wall_s and not self._cpu_s:
            yield from ((arrival.at, arrival) for arrival in arrivals)
            return
        free = last = 0.0
        for arrival in arrivals:
            begin = max(arrival.at, free)
            free = begin + self._cpu_s
            last = max(last, begin + self._wall_s)
            yield last, arrival

    def take(self, arrival: Arrival) -> None:
        """Take a request that arrives now."""
        self.holds += 1
        self._waiting.append(arrival)
        if len(self._waiting) == 1:
            self._machines.serve(self._cpu_s)

    def served(self) -> None:
        """Let the request that it is at enter, after what is only waited for, and go on to the next."""
        if self._machines.served():
            wait_s = max(self._wall_s - self._cpu_s, 0.0)
            self._kernel.at(self._kernel.now + wait_s, Entered(self._waiting.popleft()))
            if self._waiting:
                self._machines.serve(self._cpu_s)

    def entered(self, event: Entered) -> Arrival:
        """Let go of a request that enters."""
        self.holds -= 1
        return event.arrival

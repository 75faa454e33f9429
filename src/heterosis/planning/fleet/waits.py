"""How long a call waits until its batch begins: for the batch to fill, and for an instance.

*Fill.* Calls come at ``rate`` per second to one central queue, ``together`` at a time; a batch leaves when it is full,
or when its first calls have waited for as long as it is kept open. In so long come ``N`` more groups, Poisson
distributed, so a batch of at most ``b`` has ``first + n E[min(N, (b - first) / n)]`` calls, with ``n`` together and
``first`` the lesser of ``n`` and ``b`` (`filled`). How long batches stay open is the plan's to choose, not the
arrivals': where fewer calls come, fewer batches leave, and none is slower. Where they are not kept open, ``n`` calls
leave at once, in as many batches as they need, the last of which may be nearly empty (`at_once`).

*Queue.* Batches come to ``c`` instances that serve from that queue, and are busy for the share ``rho``. With service
time ``S`` and squared coefficients of variation ``va`` of the gaps between batches and ``vs`` of the service, the
waiting time has an exponential tail (Allen and Cunneen's approximation of GI/G/c; Allen, "Probability, Statistics, and
Queueing Theory", 2nd ed. 1990, ch. 5):

    P(wait > t) = C(c, rho) exp(-2 c (1 - rho) t / (S (va + vs)))

with Erlang's C as the probability of waiting. Gaps between batches of ``b`` Poisson arrivals have ``va = 1 / b``:
batches smooth. Calls that come ``n`` at a time, as from a gather, have ``va = n / b`` instead.
"""

import math
from collections.abc import Mapping


def erlang_c(servers: int, utilisation: float) -> float:
    """Return the probability that who comes to ``servers`` Poisson servers, busy for this share, has to wait."""
    if utilisation >= 1:
        return 1.0
    offered = servers * utilisation
    blocked = 1.0
    for number in range(1, servers + 1):  # Erlang's B, by its recurrence
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - utilisation * (1 - blocked))


def queue_s(service_s: float, servers: int, utilisation: float, late: float, variation: float) -> float:
    """Return the wait that a share ``late`` of the batches exceeds; ``variation`` is ``va + vs``."""
    waiting = erlang_c(servers, utilisation)
    if waiting <= late:
        return 0.0
    if utilisation >= 1:
        return math.inf
    return service_s * variation / (2 * servers * (1 - utilisation)) * math.log(waiting / late)


def filled(batch: int, open_s: float, rate: float, together: float) -> float:
    """Return the mean number of calls in batches of at most ``batch`` that are kept open for so long."""
    first = min(together, batch)
    room, groups = (batch - first) / together, rate / together * open_s
    probability, more = math.exp(-groups), room
    for number in range(math.floor(room) + 1):  # E[min(N, room)] = room - sum over n <= room of (room - n) P(N = n)
        more -= (room - number) * probability
        probability *= groups / (number + 1)
    return min(first + together * more, batch)  # but for what sums are rounded by


def at_once(batch: int, groups: Mapping[int, float]) -> float:
    """Return the mean number of calls in batches of at most ``batch`` where none is waited for.

    ``groups`` says how many groups of calls that are ready together a request has, by their size.
    """
    calls = sum(size * times for size, times in groups.items())
    return calls / sum(math.ceil(size / batch) * times for size, times in groups.items())

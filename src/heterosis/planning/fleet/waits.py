"""How long a call waits until its batch begins: for the batch to fill, and for an instance.

*Fill.* Calls come at ``rate`` per second to one central queue; the first of a batch of ``b`` waits for ``b - 1`` more.
So many Poisson arrivals take ``(b - 1) / rate`` on average with a standard deviation of ``sqrt(b - 1) / rate``; one
deviation above the mean is what a call is allowed to wait (`fill_s`).

*Queue.* Batches come to ``c`` instances that serve from that queue, and are busy for the share ``rho``. With service
time ``S`` and squared coefficients of variation ``va`` of the gaps between batches and ``vs`` of the service, the
waiting time has an exponential tail (Allen and Cunneen's approximation of GI/G/c; Allen, "Probability, Statistics, and
Queueing Theory", 2nd ed. 1990, ch. 5):

    P(wait > t) = C(c, rho) exp(-2 c (1 - rho) t / (S (va + vs)))

with Erlang's C as the probability of waiting. Gaps between batches of ``b`` Poisson arrivals have ``va = 1 / b``:
batches smooth. Calls that come ``n`` at a time, as from a gather, have ``va = n / b`` instead.
"""

import math


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


def fill_s(batch: int, rate: float) -> float:
    """Return how long the first call of a batch is allowed to wait for the others."""
    return (batch - 1 + math.sqrt(batch - 1)) / rate

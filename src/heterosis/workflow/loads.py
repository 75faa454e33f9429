"""Loads by name, as the command line takes them."""

from collections.abc import Callable
from pathlib import Path

from heterosis.arrivals import bursts, diurnal, integer_gaps, poisson, poisson_count, read_trace, rescaled, surges
from heterosis.terms.errors import UsageError

Moments = Callable[[int], list[float]]
"""Draws moments of arrival for a seed; a trace has the same for all."""
BURSTS = 10
"""In a run, on average: each lasts a seventh of the time from one to the next."""
BURST_RATIO = 4.0
"""The rate within bursts, as a multiple of the rate between them."""
REQUESTS = 10_000


def is_trace(arrivals: str) -> bool:
    """Whether arrivals are named by a file."""
    return Path(arrivals).suffix.lower() in {".csv", ".json"}


def moments(arrivals: str, rate_rps: float | None, requests: int | None, duration_s: float | None) -> Moments:
    """Return what draws a load of so many requests or so many seconds. Raise UsageError where there is no such load.

    ``arrivals`` is ``poisson``, ``bursts``, ``diurnal`` (a day in the length of the run), ``surges`` (likewise, with a
    flash crowd), ``integer`` or the path of a trace, which is stretched to the rate where one is given.
    """
    if is_trace(arrivals):
        recorded = read_trace(Path(arrivals))
        recorded = recorded if rate_rps is None else rescaled(recorded, rate_rps)
        recorded = [at for at in recorded[:requests] if duration_s is None or at < duration_s]
        return lambda _: recorded
    if rate_rps is None:
        raise UsageError("say how much load: --rate R")
    rate, count = rate_rps, requests or REQUESTS
    length_s = count / rate if duration_s is None else duration_s
    cycle_s = length_s / BURSTS
    base_rps = 7 * rate / (6 + BURST_RATIO)
    kinds: dict[str, Moments] = {
        "poisson": lambda seed: (
            poisson_count(rate, count, seed) if duration_s is None else poisson(rate, length_s, seed)
        ),
        "bursts": lambda seed: bursts(
            base_rps, BURST_RATIO * base_rps, length_s, seed, base_s=6 / 7 * cycle_s, burst_s=cycle_s / 7
        ),
        "diurnal": lambda seed: diurnal(rate, length_s, seed, period_s=length_s),
        "surges": lambda seed: surges(rate, length_s, seed),
        "integer": lambda seed: integer_gaps(rate, max(round(rate * length_s), 1), seed),
    }
    if arrivals not in kinds:
        raise UsageError(f"no arrivals {arrivals!r}; there are {', '.join(kinds)}, and traces: files *.csv and *.json")
    return kinds[arrivals]

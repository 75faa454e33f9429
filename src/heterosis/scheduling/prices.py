"""What a second on each group of slots is worth, given what is asked for: the dual prices of an allocation problem.

Take the load as it is and serve the largest share of it that the fleet can: each class of calls (a stage, and about a
size) is divided among the configurations that can run it in time, and no group of slots is busy for more than all of
its time. At the optimum of this linear program each class runs where its time, at the price of the slots, is cheapest.
So the prices can be found by bidding: every class goes where it is cheapest, what is crowded gets dearer, and again. It
needs no solver, and the prices of a moment ago are a good start for those of now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

import numpy as np

from heterosis.scheduling.state import CallRecord
from heterosis.scheduling.view import View

ROUNDS = 100
STEP = 0.5
INDIFFERENCE = 0.02
"""A class is divided between groups whose costs differ by about this share."""
BINS_PER_OCTAVE = 4
FIRST_CALLS = 64
"""Prices are found anew after so many calls, then after twice as many, up to `MOST_CALLS`."""
MOST_CALLS = 8192


@dataclass(frozen=True, slots=True)
class CallClass:
    """Calls of one stage and about one size."""

    rate: float
    """How often they come, in any unit."""
    times: Mapping[int, float]
    """Slot time of one of them on each group of slots that can run it in time, in seconds."""


def find_prices(classes: Sequence[CallClass], slots: Mapping[int, int]) -> dict[int, float]:
    """Return the price of a second on each group, 1 on average; ``slots`` says how many each group has."""
    groups = sorted(slots)
    times = np.array([[each.times.get(group, np.inf) for group in groups] for each in classes if each.times])
    if len(groups) < 2 or not len(times):  # noqa: PLR2004 - nothing to compare
        return dict.fromkeys(groups, 1.0)
    rates = np.array([each.rate for each in classes if each.times])
    count = np.array([slots[group] for group in groups], float)
    finite = np.where(np.isfinite(times), times, 0.0)
    logs = np.zeros(len(groups))
    later = np.zeros(len(groups))
    for number in range(ROUNDS):
        costs = np.exp(logs) * times
        dearer = costs / costs.min(axis=1, keepdims=True) - 1
        shares = np.exp(-np.minimum(dearer / INDIFFERENCE, 50.0))
        shares /= shares.sum(axis=1, keepdims=True)
        load = (rates[:, None] * shares * finite).sum(axis=0) / count
        logs += STEP / (1 + number / 10) * np.minimum(load / load.mean() - 1, 1.0)
        if number >= ROUNDS // 2:
            later += logs
    prices = np.exp(later / (ROUNDS - ROUNDS // 2))
    return dict(zip(groups, (prices / prices.mean()).tolist(), strict=True))


@dataclass(slots=True)
class _Bin:
    """What was seen of one class."""

    calls: float = 0.0
    items: float = 0.0
    allowed_s: float = 0.0
    """Time between becoming ready and the deadline, summed over the calls."""


@dataclass(slots=True)
class Prices:
    """Prices that follow the calls that are seen; recent calls weigh more."""

    _bins: dict[tuple[str, int], _Bin] = field(default_factory=dict)
    _found: dict[int, float] = field(default_factory=dict)
    _seen: int = 0
    _next: int = FIRST_CALLS

    def of(self, group: int) -> float:
        """The price of a second on a group of slots."""
        return self._found.get(group, 1.0)

    def note(self, view: View, record: CallRecord, allowed_s: float) -> None:
        """Take a call that became ready into account; ``allowed_s`` is the time until its deadline."""
        key = (record.call.stage, round(BINS_PER_OCTAVE * log2(record.call.size)))
        of = self._bins.setdefault(key, _Bin())
        of.calls += 1
        of.items += record.call.size
        of.allowed_s += allowed_s
        self._seen += 1
        if self._seen >= self._next or not self._found:
            self._find(view)

    def _find(self, view: View) -> None:
        self._next = self._seen + min(max(self._seen, FIRST_CALLS), MOST_CALLS)
        capacity = view.capacity
        classes = []
        for (stage, _), of in self._bins.items():
            size, allowed_s = round(of.items / of.calls), of.allowed_s / of.calls
            times: dict[int, float] = {}
            for each in capacity.configurations[stage]:
                if view.estimates.mean(each, size) <= allowed_s:
                    group = capacity.group[each]
                    times[group] = min(times.get(group, np.inf), capacity.slot_time[each, size])
            classes.append(CallClass(of.calls, times))
        self._found = find_prices(classes, capacity.group_slots)
        for of in self._bins.values():  # the older half of what was seen counts half
            of.calls, of.items, of.allowed_s = of.calls / 2, of.items / 2, of.allowed_s / 2

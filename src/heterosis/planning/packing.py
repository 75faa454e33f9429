"""Which slots the stages take, so that the busiest slot is the least busy.

Instances of one stage take a run of adjacent slots; stages may share slots. The search is exact over the runs that
`Candidate.starts` allows: depth first, the heaviest stage first, and it ends as soon as no packing could be better.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from heterosis.planning.options import Candidate


class Packing(msgspec.Struct, frozen=True):
    """The options on one device."""

    options: tuple[Candidate, ...]
    load_ms: float
    """Time that the busiest slot gives to a request."""
    starts: dict[str, int]
    """First slot of each stage's option."""


def pack(options: Iterable[Candidate]) -> list[Packing]:
    """Pack every device."""
    devices: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for option in sorted(options, key=lambda each: (-each.load_ms, each.stage)):
        devices[option.mode[:2]].append(option)
    return [_Search(here).best for here in devices.values()]


class _Search:
    def __init__(self, options: Sequence[Candidate]) -> None:
        self.options = tuple(options)
        slots = options[0].device.slots
        spread = sum(each.work_ms for each in options) / slots
        self.enough = max(spread, *(each.load_ms for each in options)) * (1 + 1e-12)
        self.best = Packing(self.options, float("inf"), {})
        self._place((0.0,) * slots, {})

    def _place(self, loads: tuple[float, ...], starts: dict[str, int]) -> None:
        if len(starts) == len(self.options):
            self.best = Packing(self.options, max(loads), starts)
            return
        option = self.options[len(starts)]
        found: dict[tuple[float, ...], int] = {}
        for start in option.starts:
            end = start + option.slots
            taken = (*loads[:start], *(load + option.load_ms for load in loads[start:end]), *loads[end:])
            found.setdefault(taken, start)
        for taken, start in sorted(found.items(), key=lambda item: (max(item[0]), item[1])):
            if self.best.load_ms <= self.enough or max(taken) >= self.best.load_ms:
                return
            self._place(taken, {**starts, option.stage: start})

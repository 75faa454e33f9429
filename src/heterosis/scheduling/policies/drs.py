"""DRS: calls above a size threshold go to the accelerator, the others to all other machines.

DeepRecSys (Gupta et al., ISCA 2020, "DeepRecSched"), in the form in which KAIROS (HPDC'23) compares with it: one static
threshold for each stage, found by hill climbing over measured loads; larger calls run on the base type alone, the
others on the other types alone; first come, first served on either side, one call at a time.

The split is strict, as described: neither side helps out the other. Departures: DeepRecSys also splits large queries
into batches and tunes that batch size; here a call is not split. The base type is the one that is fastest at the
largest profiled size. Where a stage has one type only, that runs everything.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence

from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policy import Decision, Dispatch
from heterosis.scheduling.state import CallRecord, Priority
from heterosis.scheduling.states import CallState
from heterosis.scheduling.view import View
from heterosis.terms import Configuration


class Drs(Fcfs):
    """A line for large calls, and one for the others."""

    def __init__(self, threshold: int | None = None) -> None:
        """Call large what has more items than ``threshold``.

        Without one, each stage has its own: the largest profiled size that all other types run within the stage's
        latency budget, at the mean.
        """
        self._threshold = threshold
        self._splits: dict[str, _Split] = {}
        self._lines: dict[tuple[str, bool], deque[CallRecord]] = defaultdict(deque)

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By arrival of the request; the call joins the line of its size."""
        split = self._split(view, record.call.stage)
        large = not split.others or record.call.size > split.threshold
        self._lines[record.call.stage, large].append(record)
        return super().priority(view, record)

    def decide(self, view: View) -> Iterator[Decision]:
        """Give the first call of each line to an idle instance of its side, until there is none."""
        for (stage, large), line in self._lines.items():
            split = self._split(view, stage)
            side = split.base if large else split.others
            reason = f"{'more' if large else 'no more'} than {split.threshold} items"
            while line:
                if line[0].state is not CallState.WAITING:
                    line.popleft()
                    continue
                idle = [each for each in side if view.idle[each]]
                if not idle:
                    break
                size = line[0].call.size
                fastest = min(idle, key=lambda each: view.estimates.mean(each, size))
                yield Dispatch(next(iter(view.idle[fastest].values())), (line.popleft(),), reason)

    def _split(self, view: View, stage: str) -> "_Split":
        split = self._splits.get(stage)
        if split is None:
            split = self._splits[stage] = _Split(view, stage, self._threshold)
        return split


class _Split:
    """Which configurations of a stage run large calls, which the others, and what large is."""

    def __init__(self, view: View, stage: str, threshold: int | None) -> None:
        found = view.capacity.configurations[stage]
        sizes = sorted({point.batch for point in view.plan.points if point.configuration.stage == stage})
        largest = sizes[-1] if sizes else 1
        fastest = sorted(found, key=lambda each: view.estimates.mean(each, largest))
        self.base: tuple[Configuration, ...] = tuple(fastest[:1])
        self.others: tuple[Configuration, ...] = tuple(fastest[1:])
        if threshold is None:
            budget = next((each.budget_ms for each in view.plan.stages if each.stage == stage), 0.0) / 1e3
            fits = (size for size in sizes if all(view.estimates.mean(each, size) <= budget for each in self.others))
            threshold = max(fits, default=0)
        self.threshold = threshold


def hill_climb(evaluate: Callable[[int], float], sizes: Sequence[int]) -> int:
    """Find the threshold, among these sizes, at which ``evaluate`` (say, the allowable load) is largest.

    Starts in the middle with steps of a quarter of the sizes; goes on to a neighbour that is better, halves the step
    where neither is. Finds the best where there is a single hill. Every size is evaluated at most once.
    """
    known: dict[int, float] = {}

    def height(position: int) -> float:
        if position not in known:
            known[position] = evaluate(sizes[position])
        return known[position]

    at = len(sizes) // 2
    step = max(len(sizes) // 4, 1)
    while step:
        near = [position for position in (at - step, at + step) if 0 <= position < len(sizes)]
        best = max(near, key=height, default=at)
        if height(best) > height(at):
            at = best
        else:
            step //= 2
    return sizes[at]

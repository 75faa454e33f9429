"""Harpagon: each stage on several (batch, device) tuples at least price, with dummy requests and budgets re-dealt.

"Harpagon: Minimizing DNN Serving Cost via Efficient Dispatching, Scheduling and Splitting" (2024), as reconstructed:

- *Dispatch*: batches are handed out whole, so that a tuple whose share and what comes after it is ``w`` calls per
  second waits ``b / w`` for a batch: a call takes ``l(b) + b / w`` at most.
- *Schedule*: of the tuples that are fast enough, the one that carries most for its price takes as many devices as it
  fills, and the rest goes on to the next tuples; more than two may be in use.
- *Dummy requests*: where it is cheaper to fill one more device of a better tuple with made-up calls than to serve the
  rest on others, it is done.
- *Split*: stages begin with their least latency; then the stage that saves most per second it is given takes another
  step, as long as every path fits the SLO. *Reassigner*: what is left of the SLO in the end goes to whoever saves most
  by it, in steps of any size.

Departures: devices are paid whole, as the fleet has them; the search takes them for unlimited, and what it finds is
compared with the fleet in the end. Models are given: the most accurate variants.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from heterosis.planning.fleet.allotment import Allotment
from heterosis.planning.fleet.planners.servers import (
    ROUNDING,
    Server,
    allotment,
    fits,
    of_best_variants,
    share,
)
from heterosis.planning.fleet.task import Task


@dataclass(frozen=True, slots=True)
class Tuple:
    """Devices of a stage that run one batch size."""

    server: Server
    count: int
    per_s: float
    """Calls, dummy ones left out."""


def harpagon(task: Task) -> Allotment | None:
    """Plan as Harpagon does; None where the SLO is too short, or the fleet too small."""
    found, calls = of_best_variants(task)
    steps = {stage: budgets(of, calls[stage]) for stage, of in found.items()}
    if not all(steps.values()):
        return None
    chosen = dict.fromkeys(steps, 0)
    if not fits(task, {stage: steps[stage][0][0] for stage in steps}):
        return None
    for far in (1, max(map(len, steps.values()))):  # one step at a time, then the reassigner
        while (better := _better(task, steps, chosen, far)) is not None:
            stage, at = better
            chosen[stage] = at
    shares = [
        share(each.server, each.count, each.per_s, steps[stage][chosen[stage]][0])
        for stage in steps
        for each in scheduled(found[stage], calls[stage], steps[stage][chosen[stage]][0]) or ()
    ]
    return allotment("harpagon", task, shares, "least price by tuples of batch and device")


def _better(
    task: Task, steps: dict[str, list[tuple[float, float]]], chosen: dict[str, int], far: int
) -> tuple[str, int] | None:
    """The step of one stage, at most so far, that saves most per second of the SLO; None where none fits."""
    found = []
    for stage, of in steps.items():
        now_s, now = of[chosen[stage]]
        for at, (budget_s, price) in enumerate(of[chosen[stage] + 1 :][:far], chosen[stage] + 1):
            if fits(task, {other: budget_s if other == stage else steps[other][chosen[other]][0] for other in steps}):
                found.append(((now - price) / (budget_s - now_s), stage, at))
    return max(found)[1:] if found else None


def budgets(found: Sequence[Server], per_s: float) -> list[tuple[float, float]]:
    """Budgets of a stage in seconds, ascending, each with its price; only those that are cheaper than all before."""
    listed: list[tuple[float, float]] = []
    for budget_s in sorted({latency_s(server, per_s) for server in found}):
        tuples = scheduled(found, per_s, budget_s)
        if tuples is not None:
            price = price_of(tuples)
            if not listed or price < listed[-1][1] - ROUNDING:
                listed.append((budget_s, price))
    return listed


def latency_s(server: Server, rate: float) -> float:
    """The most that a call takes, where so many come per second that this tuple may have: its batch fills, and runs."""
    return server.option.batch / rate + server.latency_s


def scheduled(found: Sequence[Server], per_s: float, budget_s: float) -> list[Tuple] | None:
    """Serve so many calls per second within a budget, at least price; None where nothing is fast enough."""
    taken: list[Tuple] = []
    left = per_s
    best: tuple[float, list[Tuple]] | None = None
    while left > ROUNDING * per_s:
        able = [each for each in found if latency_s(each, left) <= budget_s * (1 + ROUNDING)]
        if not able:
            break
        # The rest on one more tuple, its last device filled with dummy requests where it is not full.
        last = min(able, key=lambda each: (each.needed(left) * each.price, -each.per_s / each.price))
        ended = [*taken, Tuple(last, last.needed(left), left)]
        if best is None or price_of(ended) < best[0]:
            best = (price_of(ended), ended)
        full = [each for each in able if each.per_s <= left * (1 + ROUNDING)]
        if not full:
            break
        most = max(full, key=lambda each: (each.per_s / each.price, each.per_s))
        count = math.floor(left / most.per_s + ROUNDING)
        carried = min(left, count * most.per_s)
        taken.append(Tuple(most, count, carried))
        left -= carried
    else:
        if best is None or price_of(taken) <= best[0]:
            return taken
    return None if best is None else best[1]


def price_of(tuples: Sequence[Tuple]) -> float:
    """Price of whole devices, per hour."""
    return sum(each.count * each.server.price for each in tuples)

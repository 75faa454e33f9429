"""Staged slack in joules: slow while the load allows it, each call as cheap as its share of the time left allows.

Ours, from `Slack` (after Ωkypous, arXiv 2407.18386); what differs:

- **Order**: by deadline, less the time that what follows takes, and not by arrival.
- **Joules, not watts**: a call costs its dynamic energy and its part of what keeps a device awake. So the work gathers
  on few devices, the others sleep, and full speed is taken where getting done sooner costs less than running slowly.
- **Budgets** are kept with a margin on the mean, as there, but by the last call of a path at the 95th percentile, since
  nothing after it can make up for it. A call whose share of the slack nothing open keeps may take all there is; one
  that would be late on what is open waits, where a slot that is free in a moment saves it.
- **Slow only while the load allows it.** A mode stretches times by a factor, taken over all stages, so that the modes
  in which the devices run say how much the fleet does in a second. That must exceed what arrives, a request with all
  that follows its first call, and what waits must be worked off within the time of an objective (`Pace`); a device is
  opened in no mode that brings the fleet below that.
- **A domain's demands are resolved by leaving**: a device keeps its mode while it runs something (a rule of the core).
  Where the fleet is too slow, the slowest devices are given nothing more, so that they get empty and start anew; what
  needs a faster mode than those in force opens an empty device.
- **Batches**: as many waiting calls as fit, where all of the batch is in time, else the first alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from heterosis.scheduling.policies.domains import ByDeadline, Domain, domains, heads, latest, running
from heterosis.scheduling.policies.pace import Mode, Pace, mode_of
from heterosis.scheduling.policies.slack import MARGIN
from heterosis.scheduling.policy import Decision, Dispatch
from heterosis.scheduling.state import CallRecord, InstanceRecord, Priority, Unit
from heterosis.scheduling.view import View

AWAKE = 0.1
"""Power that a device draws for being awake, as a share of what its slots draw at full speed. A plan does not say it;
this is the median of SPECpower_ssj2008's servers of 2019 to 2024: how far the line through 10 and 20 % load lies above
idle power at no load."""
OPENER = 2
"""Slots whose part of that is charged to the call that wakes a device; others join it later."""
PERCENT = 95
"""Percentile of run times that what is left must hold."""


class SlackJoules(ByDeadline):
    """By deadline; the fewest joules within the budget and the pace."""

    def __init__(self) -> None:
        """Start from the load that is planned."""
        self._pace: Pace | None = None

    def priority(self, view: View, record: CallRecord) -> Priority:
        """By the latest moment to be done; its work counts as load from now on."""
        self._paced(view).arrived(view, record)
        return super().priority(view, record)

    def decide(self, view: View) -> Iterator[Decision]:
        """Serve the most urgent call that something is free for and that need not wait, until none is."""
        pace = self._paced(view)
        modes = {instance.unit: mode_of(instance.configuration) for _, instance in running(view)}
        while True:
            if not (waiting := heads(view)):
                return
            leaving, room = pace.resolve(view, modes)
            for head in waiting:
                among = [each for each in domains(view, head) if each.unit not in leaving]
                if among and (chosen := self._choose(view, head, among, modes, room)):
                    modes[chosen.instance.unit] = mode_of(chosen.instance.configuration)
                    yield chosen
                    break
            else:
                return

    def _choose(
        self, view: View, head: CallRecord, among: Sequence[Domain], modes: Mapping[Unit, Mode], room: float
    ) -> Dispatch | None:
        """Take the best of what is open to a call; None where it had better wait."""
        loss = self._paced(view).loss
        own_s, left_s = _budget(view, head), latest(view, head) - view.now
        offers = []
        for domain in among:
            awake = domain.unit in modes
            for configuration, instance in domain.open.items():
                offer = _offer(view, head, instance, own_s, wakes=not awake)
                lost = loss[mode_of(configuration)]
                if offer.needs_s <= own_s and (awake or not lost or lost <= room):
                    rank, least = 0, offer.joules
                else:
                    rank, least = (1 if offer.surely_s <= left_s else 2), offer.mean_s
                offers.append(((rank, least, domain.free, offer.mean_s), offer))
        (rank, *_), best = min(offers, key=lambda each: each[0])
        if rank == 0:
            return Dispatch(best.instance, best.calls, f"least energy within {own_s * 1e3:.0f} ms")
        if rank == 1:
            return Dispatch(best.instance, best.calls, f"fastest, in time within {left_s * 1e3:.0f} ms")
        if _saved_by_waiting(view, head, left_s):
            return None
        return Dispatch(best.instance, best.calls, f"fastest, nothing surely keeps {left_s * 1e3:.0f} ms")

    def _paced(self, view: View) -> Pace:
        if self._pace is None or self._pace.capacity is not view.capacity:
            self._pace = Pace(view)
        return self._pace


class _Offer(NamedTuple):
    """A batch on an instance."""

    instance: InstanceRecord
    calls: Sequence[CallRecord]
    mean_s: float
    surely_s: float
    """The run time that is exceeded but rarely."""
    needs_s: float
    """The least budget for it."""
    joules: float
    """Of each item; infinite where unknown."""


def _offer(view: View, head: CallRecord, instance: InstanceRecord, own_s: float, *, wakes: bool) -> _Offer:
    """Weigh the largest batch, or the call alone where that takes too long."""
    configuration, estimates = instance.configuration, view.estimates
    calls = view.queues[head.call.stage].batch(instance.placement.max_batch)
    size = sum(record.call.size for record in calls)
    last = not view.capacity.tails[head.call.stage]
    mean_s, surely_s = estimates.times(configuration, size, PERCENT)
    if len(calls) > 1 and surely_s > own_s:
        calls, size = [head], head.call.size
        mean_s, surely_s = estimates.times(configuration, size, PERCENT)
    dynamic, awake_w = estimates.joules(configuration, size), _awake_w(view, head)
    slots = view.capacity.width[configuration] * (OPENER if wakes else 1)
    joules = float("inf") if dynamic is None else dynamic + awake_w * slots * mean_s / size
    return _Offer(instance, calls, mean_s, surely_s, surely_s if last else mean_s / (1 - MARGIN), joules)


def _awake_w(view: View, head: CallRecord) -> float:
    """A slot's part of the power that keeps its device awake; 0 where unknown."""
    size = head.call.size
    top = view.capacity.fastest[head.call.stage, size]
    joules, run_s = (None, 0.0) if top is None else (view.estimates.joules(top, size), view.estimates.mean(top, size))
    return (
        0.0 if top is None or joules is None or run_s <= 0 else AWAKE * joules * size / run_s / view.capacity.width[top]
    )


def _budget(view: View, head: CallRecord) -> float:
    """The call's share of the time that is left, in seconds, as in `Slack`; negative when it is late."""
    fastest = view.capacity.fastest[head.call.stage, head.call.size]
    needed = 0.0 if fastest is None else view.estimates.mean(fastest, head.call.size)
    tail = view.capacity.tails[head.call.stage]
    left = head.request.deadline - view.now
    return left * needed / (needed + tail) if needed + tail > 0 else left


def _saved_by_waiting(view: View, head: CallRecord, left_s: float) -> bool:
    """Whether something that runs now is done so soon that the call, after it and in its mode, is in time."""
    open_to = {mode_of(each): each for each in view.capacity.configurations[head.call.stage]}
    for end, instance in running(view):
        after = open_to.get(mode_of(instance.configuration))
        if after is not None:
            _, surely_s = view.estimates.times(after, head.call.size, PERCENT)
            if max(end - view.now, 0.0) + surely_s <= left_s:
                return True
    return False

"""Whether a request that arrives can still be in time, behind the work that was admitted before it."""

from heterosis.scheduling.effects import Refusal
from heterosis.scheduling.estimates import SAFE_PERCENT
from heterosis.scheduling.policy import Refuse
from heterosis.scheduling.view import View
from heterosis.terms import Request


def too_late(view: View, request: Request) -> Refuse | None:
    """Refuse a request that the work already admitted leaves no time; None where it has enough.

    That work is due before it, of the pipelines that it shares slots with, and spread over these.
    """
    backlog, capacity = view.backlogs[request.pipeline], view.capacity
    ahead = backlog.before(request.deadline - view.now)
    own = capacity.request_work[request.pipeline, request.size]
    if ahead <= 0 or own <= 0:
        return None
    domain = capacity.domains[request.pipeline]
    if domain.alike:  # what is ahead is served first, wherever that is, and then this
        wait_s = ahead * backlog.pressed_strain / domain.slots
        run_s = _run_s(view, request, ahead / own / domain.slots)
        ends = run_s
        if wait_s > run_s / 2:
            ends += wait_s - run_s / 2  # batches that run are, on average, half done
    else:
        work = ahead + own
        if not capacity.longest_tail:
            work /= 2  # what is dropped before its only stage has cost nothing, so refuse what is sure
        ends = work * backlog.strain / domain.slots
    late = view.now + ends - request.deadline
    if late <= 0:
        return None
    reason = f"{ahead:.3f} s of admitted work leave no time before the deadline"
    return Refuse(Refusal.OVERLOAD, reason, retry_after_s=late)


def _run_s(view: View, request: Request, ahead: float) -> float:
    """How long a request takes once its turn has come, in batches with as many like it as are ahead of it on a slot."""
    capacity, size = view.capacity, request.size
    stages = capacity.stages[request.pipeline]
    if len(stages) > 1:
        return capacity.path_s(request.pipeline, size)
    configuration = capacity.fastest[stages[0], size]
    if configuration is None:
        return 0.0
    quantile = view.estimates.quantile
    if request.divisible and quantile(configuration, size, SAFE_PERCENT) > request.deadline - view.now:
        size = capacity.least_part(configuration, size)  # whole, it would be late in any case
    most = capacity.max_batch[configuration]
    if most > size:
        size = min(round(size * (1 + ahead)), most)
    return quantile(configuration, size, SAFE_PERCENT)

"""The scheduler's invariants, asserted after every test: nothing lost, run twice, or on a dead instance."""

from heterosis.scheduling.core import Scheduler
from heterosis.scheduling.states import CallState, InstanceState

ROUNDING = 1e-6


def validate(scheduler: Scheduler) -> None:
    """Raise AssertionError where the records contradict each other."""
    waiting = {record.call.id for queue in scheduler.queues.values() for record in queue}
    open_calls = {record.call.id: record for owner in scheduler.requests.values() for record in owner.calls.values()}
    _require({i for i, record in open_calls.items() if record.state is CallState.WAITING} == waiting, "a call is lost")
    for stage, queue in scheduler.queues.items():
        listed = [record.call.id for record in queue]
        _require(len(listed) == len(set(listed)) == len(queue), f"the queue of {stage} miscounts")
        _require(queue.head is next(iter(queue), None), f"the queue of {stage} has another head")
        kinds = {(record.call.size, record.request.request_class) for record in queue}
        _require(not queue.alike or len(kinds) <= 1, f"the queue of {stage} takes calls for alike that are not")
        deadlines = [record.request.deadline for record in queue]
        _require(not queue.in_order or deadlines == sorted(deadlines), f"the queue of {stage} is not in order")
    running: list[str] = []
    occupied = {}
    for instance in scheduler.instances.values():
        _require(len(instance.batches) <= instance.depth, f"{instance.name} holds too many batches")
        if instance.batches:
            alive = instance.state in {InstanceState.READY, InstanceState.DRAINING}
            _require(alive, f"{instance.name} is {instance.state.value} and holds a batch")
            for place in instance.places:
                _require(place not in occupied, f"two instances run on slot {place}")
                occupied[place] = instance.name
        for batch in instance.batches:
            _require(scheduler.batches.get(batch.id) is instance, f"batch {batch.id} is not where it should be")
            _require(bool(batch.calls), f"batch {batch.id} is empty")
            running += [record.call.id for record in batch.calls]
            _require(all(r.state is CallState.ASSIGNED for r in batch.calls), f"batch {batch.id} has a stray call")
    ends = sorted(
        (instance.batches[-1].expected_end, instance.name)
        for instance in scheduler.instances.values()
        if instance.batches
        for _ in range(instance.width)
    )
    _require(ends == sorted(entry for held in scheduler.pools.ends.values() for entry in held), "an end is misplaced")
    _require(len(running) == len(set(running)), "a call runs twice")
    idle = {name for found in scheduler.pools.idle.values() for name in found}
    modes = {each.unit: each.configuration.power_mode for each in scheduler.instances.values() if each.batches}
    free = {
        each.name
        for each in scheduler.instances.values()
        if each.state is InstanceState.READY and not each.batches and occupied.keys().isdisjoint(each.places)
        if modes.get(each.unit, each.configuration.power_mode) == each.configuration.power_mode
    }
    _require(idle == free, "who is idle is not who is free")
    assigned = {i for i, record in open_calls.items() if record.state is CallState.ASSIGNED}
    _require(assigned <= set(running), "an assigned call is in no batch")
    _require(sum(len(i.batches) for i in scheduler.instances.values()) == len(scheduler.batches), "a batch is lost")
    _require(all(each.total >= -ROUNDING for each in scheduler.backlogs.values()), "a backlog is negative")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    if not holds:
        raise AssertionError(otherwise)

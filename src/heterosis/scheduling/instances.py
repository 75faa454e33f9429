"""The instances of the plan in force: they start, hold batches, go down and are restarted, and are retired.

Here are the rules of `core` on instances; of calls this knows no more than that batches have some.
"""

from collections.abc import Callable, Mapping

from heterosis.scheduling.capacity import Capacity
from heterosis.scheduling.effects import Effect, SetPowerMode, SetTimer, StartInstance, StopInstance
from heterosis.scheduling.pools import Pools
from heterosis.scheduling.state import BatchRecord, CallRecord, InstanceRecord, Unit
from heterosis.scheduling.states import DOWN, DRAINING, READY, STARTING, STOPPING, IllegalTransitionError
from heterosis.terms import DEFAULT_MODE, Placement

RESTART_PAUSE_S = 0.5
MAX_RESTART_PAUSE_S = 30.0


class Instances:
    """All instances that are planned, or have yet to end."""

    def __init__(self, do: Callable[[Effect], None]) -> None:
        """Know none yet; ``do`` takes what is to be done."""
        self.records: dict[str, InstanceRecord] = {}
        self.batches: dict[int, InstanceRecord] = {}
        """Who holds each batch."""
        self.pools = Pools()
        self._modes: dict[Unit, str] = {}
        """The power mode that each device was last brought into."""
        self._do = do

    # --- batches

    def hold(self, instance: InstanceRecord, batch: BatchRecord) -> None:
        """Give an instance a batch, on a device that is in its mode."""
        mode = instance.configuration.power_mode
        if self._modes.get(instance.unit, DEFAULT_MODE) != mode:
            node, device = instance.unit
            self._do(SetPowerMode(node=node, device=device, mode=mode, reason=f"for the next batch of {instance.name}"))
            self._modes[instance.unit] = mode
        instance.batches.append(batch)
        self.batches[batch.id] = instance
        if len(instance.batches) == 1:
            self.pools.occupy(instance)
        else:
            self.pools.prolong(instance)

    def done(self, instance: InstanceRecord, batch: BatchRecord, now: float) -> None:
        """Take a batch off that an instance has run; one that drains may stop then."""
        instance.failures = 0
        instance.batches.remove(batch)
        del self.batches[batch.id]
        if instance.batches:
            held = instance.batches[0]
            held.begin, held.expected_end = now, now + held.expected_s  # else what one is late by adds up in the next
            self.pools.prolong(instance)
            return
        self.pools.release(instance)
        if instance.state is DRAINING:
            self._stop(instance)

    # --- up and down

    def ready(self, name: str) -> None:
        """Let an instance take batches, unless it was told to stop while it was loading."""
        instance = self.records[name]
        if instance.state is not STOPPING:
            instance.move(READY)
            self.pools.refresh(instance)

    def down(self, name: str, reason: str, now: float) -> list[CallRecord]:
        """Take an instance for dead; return the calls that it held. If it is wanted, it starts anew, or will."""
        instance = self.records[name]
        wanted = instance.state in {STARTING, READY}
        instance.move(DOWN)
        self.pools.refresh(instance)
        held = [record for batch in instance.batches for record in batch.calls]
        if instance.batches:
            for batch in instance.batches:
                del self.batches[batch.id]
            instance.batches.clear()
            self.pools.release(instance)
        if wanted:
            self._restart(instance, reason, now)
        else:
            self._remove(instance)
        return held

    def _restart(self, instance: InstanceRecord, reason: str, now: float) -> None:
        instance.failures += 1
        if instance.failures == 1:
            self._start(instance, f"restart: {reason}")
            return
        pause = min(MAX_RESTART_PAUSE_S, RESTART_PAUSE_S * 2.0 ** min(instance.failures - 2, 20))
        why = f"went down {instance.failures} times without finishing a batch; last: {reason}"
        self._do(SetTimer(at=now + pause, key=f"restart:{instance.name}", reason=why))

    def pause_is_over(self, name: str) -> None:
        """Start an instance anew that is still down, and still wanted."""
        instance = self.records.get(name)
        if instance is not None and instance.state is DOWN:
            self._start(instance, "restart after a pause")

    def _start(self, instance: InstanceRecord, reason: str) -> None:
        instance.move(STARTING)
        self._do(StartInstance(placement=instance.placement, reason=reason))

    def _stop(self, instance: InstanceRecord) -> None:
        instance.move(STOPPING)
        self.pools.refresh(instance)
        self._do(StopInstance(instance=instance.name, reason="no longer planned"))

    def _remove(self, instance: InstanceRecord) -> None:
        self.pools.remove(instance)
        del self.records[instance.name]

    # --- plans

    def relabel(self, wanted: Mapping[str, Placement]) -> None:
        """Let those run on as they are that a new plan only takes for ones of another device type."""
        for name, placement in wanted.items():
            known = self.records.get(name)
            if known is not None and known.placement != placement and known.may_become(placement):
                self.pools.relabel(known, placement)

    def follow(self, wanted: Mapping[str, Placement], capacity: Capacity) -> None:
        """Retire what a new plan leaves out, start what it adds, and keep what was about to go and is wanted again."""
        for name, instance in list(self.records.items()):
            if name not in wanted:
                self._retire(instance)
        for name, placement in wanted.items():
            known = self.records.get(name)
            if known is None:
                instance = self.records[name] = InstanceRecord(placement, capacity.depth(placement))
                instance.group = capacity.group[instance.configuration]
                self.pools.add(instance)
                self._do(StartInstance(placement=placement, reason="planned"))
            elif known.placement != placement or known.state is STOPPING:
                raise IllegalTransitionError(f"instance {name} exists with another placement; plan it by a new name")
            elif known.state is DRAINING:
                known.move(READY)
                self.pools.refresh(known)

    def _retire(self, instance: InstanceRecord) -> None:
        if instance.state is DOWN:
            self._remove(instance)
        elif instance.state is READY and instance.batches:
            instance.move(DRAINING)
            self.pools.refresh(instance)
        elif instance.state in {READY, STARTING}:
            self._stop(instance)

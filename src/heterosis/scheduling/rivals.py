"""Instances of one device that shut each other out."""

from collections import defaultdict
from collections.abc import Collection

from heterosis.scheduling.capacity import Place
from heterosis.scheduling.state import InstanceRecord


class Rivals:
    """Instances of a device of which some share slots, or are of another power mode than others.

    Those that share a slot run one at a time; those that run are of one mode (rule 6 of `core`).
    """

    def __init__(self, on: Collection[InstanceRecord]) -> None:
        """Look at all of a device, and at which of them run."""
        self._on = on
        self._sharers: dict[Place, list[InstanceRecord]] = defaultdict(list)
        self._taken: set[Place] = set()
        self._running: set[str] = set()
        self._mode = ""
        """Of those that run."""
        for each in on:
            for place in each.places:
                self._sharers[place].append(each)
            if each.batches:
                self.began(each)

    @classmethod
    def among(cls, on: Collection[InstanceRecord]) -> "Rivals | None":
        """What all instances of a device are to each other; None where none ever shuts another out."""
        places = [place for each in on for place in each.places]
        alone = len(set(places)) == len(places) and len({each.configuration.power_mode for each in on}) <= 1
        return None if alone else cls(on)

    def let(self, instance: InstanceRecord) -> bool:
        """Whether one that does not run could."""
        if self._running and instance.configuration.power_mode != self._mode:
            return False
        return self._taken.isdisjoint(instance.places)

    def began(self, instance: InstanceRecord) -> list[InstanceRecord]:
        """Let one run; return those that this may shut out."""
        self._mode = instance.configuration.power_mode
        self._running.add(instance.name)
        self._taken.update(instance.places)
        return self._around(instance, mode_changed=len(self._running) == 1)

    def ended(self, instance: InstanceRecord) -> list[InstanceRecord]:
        """Let one run no more; return those that this may let in."""
        self._running.discard(instance.name)
        self._taken.difference_update(instance.places)
        return self._around(instance, mode_changed=not self._running)

    def _around(self, instance: InstanceRecord, *, mode_changed: bool) -> list[InstanceRecord]:
        found = [sharer for place in instance.places for sharer in self._sharers[place]]
        if mode_changed:
            found += [each for each in self._on if each.configuration.power_mode != self._mode]
        return found

"""What a model has done so far: counts and times, as Triton's statistics extension tells them."""

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from heterosis.serving.notes import Notes

_ANSWERS = frozenset({"answered", "late"})

Ended = tuple[str, float, float]
"""A request that came to an end, or was refused: how (see `Totals.outcomes`), when it came, and when that was."""
Ran = tuple[int, float, float]
"""A batch: how many of its calls were run, how long they had waited together, and how long it ran, in seconds."""


class Spell(msgspec.Struct):
    """How often something took place, and for how long in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Take place once more."""
        self.count += 1
        self.seconds += seconds


class Totals(msgspec.Struct):
    """Of one model since it was loaded. Of a pipeline, `queue` and `infer` are of its calls, all stages together.

    The parts of a call that was split count as calls of their own.
    """

    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    """Requests by how they ended: ``answered``, ``late``, ``failed``, ``cancelled``, or a kind of refusal."""
    success: Spell = msgspec.field(default_factory=Spell)
    fail: Spell = msgspec.field(default_factory=Spell)
    queue: Spell = msgspec.field(default_factory=Spell)
    """Of calls that were run: how long they had waited for an instance."""
    decode: Spell = msgspec.field(default_factory=Spell)
    """Of a request's tensors; kept by the gateway."""
    infer: Spell = msgspec.field(default_factory=Spell)
    """Of calls: how long their batch ran."""
    encode: Spell = msgspec.field(default_factory=Spell)
    """Of an answer; kept by the gateway."""
    batches: dict[int, Spell] = msgspec.field(default_factory=dict)
    """Executions by the number of calls in them."""
    last_inference_s: float = 0.0
    """When the last request ended well, in seconds since the epoch; 0: none did."""

    @property
    def executions(self) -> int:
        """Batches that were run."""
        return sum(spell.count for spell in self.batches.values())

    @property
    def inferences(self) -> int:
        """Calls that were run."""
        return self.infer.count


class Statistics:
    """Notes what a model does, and adds it up when somebody asks."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._totals = Totals()
        self.ended: Notes[Ended] = Notes(self._add_ended)
        self.ran: Notes[Ran] = Notes(self._add_ran)
        self.decode, self.encode = self._totals.decode, self._totals.encode
        """See `Totals`."""

    @property
    def totals(self) -> Totals:
        """What the model has done so far."""
        self.ended.add_up()
        self.ran.add_up()
        return self._totals

    def _add_ended(self, notes: Sequence[Ended]) -> None:
        totals, since_boot_s = self._totals, time.time() - time.monotonic()
        for outcome, began, ended in notes:
            totals.outcomes[outcome] += 1
            if outcome in _ANSWERS:
                totals.success.add(ended - began)
                totals.last_inference_s = since_boot_s + ended
            else:
                totals.fail.add(ended - began)

    def _add_ran(self, notes: Sequence[Ran]) -> None:
        totals = self._totals
        for calls, waited_s, run_s in notes:
            if not calls:
                continue  # all were left out
            totals.queue.count += calls
            totals.queue.seconds += waited_s
            totals.infer.count += calls
            totals.infer.seconds += run_s * calls
            totals.batches.setdefault(calls, Spell()).add(run_s)

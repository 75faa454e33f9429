"""What a model has done so far: counts and times, as Triton's statistics extension tells them."""

import time
from collections import Counter

import msgspec

_ANSWERS = frozenset({"answered", "late"})


class Spell(msgspec.Struct):
    """How often something took place, and for how long in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Take place once more."""
        self.count += 1
        self.seconds += seconds


class Statistics(msgspec.Struct):
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

    def ended(self, outcome: str, took_s: float) -> None:
        """A request came to an end, or was refused."""
        self.outcomes[outcome] += 1
        spell = self.fail
        if outcome in _ANSWERS:
            spell = self.success
            self.last_inference_s = time.time()
        spell.count += 1
        spell.seconds += took_s

    def ran(self, calls: int, waited_s: float, run_s: float) -> None:
        """A batch of so many calls, which had waited so long together, was run; of none, where all were left out."""
        if not calls:
            return
        self.queue.count += calls
        self.queue.seconds += waited_s
        self.infer.count += calls
        self.infer.seconds += run_s * calls
        spell = self.batches.get(calls)
        if spell is None:
            spell = self.batches[calls] = Spell()
        spell.count += 1
        spell.seconds += run_s

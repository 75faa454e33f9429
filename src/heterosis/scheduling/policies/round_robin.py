"""Round robin: each call is bound to the next instance of its stage in turn, whatever that has in its line."""

from collections import Counter
from collections.abc import Sequence

from heterosis.scheduling.policies.early_binding import EarlyBinding
from heterosis.scheduling.state import CallRecord, InstanceRecord
from heterosis.scheduling.view import View


class RoundRobin(EarlyBinding):
    """Instances in turn."""

    def __init__(self) -> None:
        """Begin at the first instance of each stage."""
        super().__init__("its turn")
        self._turns: Counter[str] = Counter()

    def choose(self, view: View, record: CallRecord, among: Sequence[InstanceRecord]) -> InstanceRecord:  # noqa: ARG002
        """The next in turn."""
        turn = self._turns[record.call.stage]
        self._turns[record.call.stage] += 1
        return among[turn % len(among)]

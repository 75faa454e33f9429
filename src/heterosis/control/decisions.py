"""What was decided, and why: for those who ask later, and for the next plan where one is needed at once."""

from collections import deque
from collections.abc import Iterator

import msgspec

KEPT = 50
"""Decisions that are remembered."""


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A decision."""

    at: float
    what: str
    """``plan``, ``tune``, ``step``, ``speed``, ``health``, ``fleet``, ``planner``, ``measure`` or
    ``canary``."""
    changed: bool
    reason: str
    saves_w: float | None = None
    cost_j: float | None = None


class Decisions:
    """The latest decisions, in order."""

    def __init__(self) -> None:
        """Begin with none."""
        self._noted: deque[Noted] = deque(maxlen=KEPT)
        self.urgent: list[str] = []
        """Why a plan is needed at once."""
        self.must = ""
        """Why the plan in force cannot stay, if so, since a plan was asked for last."""

    def __iter__(self) -> Iterator[Noted]:
        """Go through them, the latest last."""
        return iter(self._noted)

    def add(self, noted: Noted) -> None:
        """Remember one."""
        self._noted.append(noted)

    def note(self, at: float, what: str, reason: str, *, urgent: bool = False) -> None:
        """Remember one that no plan was weighed for; where it is urgent, a plan is needed at once."""
        self.add(Noted(at=at, what=what, changed=urgent, reason=reason))
        if urgent:
            self.urgent.append(reason)

    def taken(self) -> tuple[str, str]:
        """Tell why a plan is needed at once, and why the one in force cannot stay, as one is asked for now."""
        found = "; ".join(self.urgent), self.must
        self.urgent, self.must = [], ""
        return found

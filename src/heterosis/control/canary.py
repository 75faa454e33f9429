"""A version on trial: it serves a share of its model's requests until it is known whether it may serve all of them.

Its requests are counted beside those that the former version serves meanwhile. It is backed out as soon as more of
them fail or are late than chance explains of one that is as good as the SLO asks, or as the former version is, if that
is worse; likewise where its answers differ from the former version's more often than they may. With enough requests
behind it, and neither, it is promoted.
"""

import math
from typing import NamedTuple

import msgspec

CHANCE = 0.001
"""Of backing out a version that is as good as it has to be, each time that it is looked at."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a new version is tried."""

    share: float = 0.1
    """Of the requests, 0..1."""
    requests: int = 100
    """That it must have served before it is promoted."""
    agreement: float | None = None
    """Share of its answers (0..1) that must be the former version's as well; None: they are not compared."""


class Tally(NamedTuple):
    """Requests, and how many of them went wrong."""

    asked: int
    wrong: int

    def __str__(self) -> str:
        """Say so in words."""
        return f"{self.wrong} of {self.asked}"

    def unlikely(self, allowed: float) -> bool:
        """Whether so many go wrong by a chance of less than `CHANCE`, where a share ``allowed`` does on average."""
        if not self.wrong or allowed >= 1:
            return False
        fewer = (
            math.comb(self.asked, wrong) * allowed**wrong * (1 - allowed) ** (self.asked - wrong)
            for wrong in range(self.wrong)
        )
        return 1 - math.fsum(fewer) < CHANCE


class Verdict(NamedTuple):
    """What becomes of a version on trial."""

    promoted: bool
    reason: str


class Canary:
    """Says which requests a version on trial gets, and what becomes of it."""

    def __init__(self, trial: Trial, percentile: float) -> None:
        """Begin a trial of a model that answers so many per cent of its requests in time."""
        self.trial = trial
        self._allowed = 1 - percentile / 100
        self._due = 0.0
        self.differing = Tally(0, 0)
        """Answers that were compared."""

    def takes(self) -> bool:
        """Whether the next request is for the version on trial: every so many, evenly."""
        self._due += self.trial.share
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True

    def compared(self, *, same: bool) -> None:
        """Take an answer that was compared with the former version's."""
        self.differing = Tally(self.differing.asked + 1, self.differing.wrong + (not same))

    def verdict(self, own: Tally, former: Tally) -> Verdict | None:
        """Tell what becomes of it by the requests of both since the trial began; None where it goes on."""
        allowed = max(self._allowed, former.wrong / former.asked if former.asked else 0.0)
        said = f"{own} requests failed or were late, {former} of the former version's"
        if own.unlikely(allowed):
            return Verdict(promoted=False, reason=said)
        agreement = self.trial.agreement
        if agreement is not None:
            compared = f"{self.differing} answers differ from the former version's"
            if self.differing.unlikely(1 - agreement):
                return Verdict(promoted=False, reason=f"{compared}, and {1 - agreement:.0%} may")
            if self.differing.asked < self.trial.requests:
                return None
            said += f"; {compared}"
        return Verdict(promoted=True, reason=said) if own.asked >= self.trial.requests else None

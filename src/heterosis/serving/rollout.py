"""Rolling a version of a model in: a share of the requests first, all of them or none once it is known which.

What is decided is `heterosis.control.canary`'s; this counts what models did, and compares answers. A request that fails
on the version on trial is answered by the former one: trying it costs no client an answer.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog

from heterosis.control.canary import Canary, Tally, Trial, Verdict
from heterosis.serving.agreement import same_answer
from heterosis.serving.models import Model
from heterosis.terms.errors import HeterosisError

log = structlog.get_logger()

LOOK_S = 0.1
PATIENCE_S = 30.0
"""For how long a version on trial may have no instance that is ready."""
WRONG = ("late", "failed", "overload", "unavailable")


class Rollout:
    """A version of a model on trial beside the one that it is to replace."""

    def __init__(self, model: Model, former: Model, trial: Trial) -> None:
        """Begin now."""
        self.model, self.former = model, former
        self.canary = Canary(trial, former.slo.percentile)
        self._before = {each: tally(each) for each in (model, former)}
        self._comparing: set[asyncio.Task[None]] = set()

    def turn(self) -> Model:
        """The version that the next request is for."""
        return self.model if self.canary.takes() and self.model.ready else self.former

    def since(self, model: Model) -> Tally:
        """What one of the two has served since the trial began."""
        now, before = tally(model), self._before[model]
        return Tally(now.asked - before.asked, now.wrong - before.wrong)

    def served(self, values: Mapping[str, Any], result: Any, request_class: str) -> None:
        """Take an answer of the version on trial; have the former one give its own, where they are to be compared."""
        if self.canary.trial.agreement is not None:
            task = asyncio.create_task(self._compare(values, result, request_class))
            self._comparing.add(task)
            task.add_done_callback(self._comparing.discard)

    async def _compare(self, values: Mapping[str, Any], result: Any, request_class: str) -> None:
        try:
            reference = await self.former.infer(values, request_class=request_class)
            encoded = [each.signature.encode(of) for each, of in ((self.model, result), (self.former, reference))]
        except (HeterosisError, TypeError, ValueError) as error:  # no answer to compare with says nothing
            log.info("answers not compared", model=self.model.name, reason=str(error))
        else:
            self.canary.compared(same=same_answer(*encoded))

    async def verdict(self) -> Verdict:
        """Wait until it is known what becomes of it."""
        ready_at = time.monotonic()
        while True:
            found = self.canary.verdict(self.since(self.model), self.since(self.former))
            if found is not None:
                return found
            ready_at = time.monotonic() if self.model.ready else ready_at
            if time.monotonic() > ready_at + PATIENCE_S:
                return Verdict(promoted=False, reason=f"it had no instance that is ready for {PATIENCE_S:g} s")
            await asyncio.sleep(LOOK_S)


def tally(model: Model) -> Tally:
    """Requests of a model that ended since it was loaded, those that nobody waited for any more left out."""
    outcomes = model.statistics.outcomes
    wrong = sum(outcomes[each] for each in WRONG)
    return Tally(outcomes["answered"] + wrong, wrong)

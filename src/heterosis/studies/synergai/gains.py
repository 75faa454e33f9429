"""What choosing configurations, what ordering and what both are worth: comparisons between the cells of the study."""

from collections.abc import Sequence
from statistics import fmean

import msgspec

from heterosis.studies.synergai.cell import Row
from heterosis.studies.synergai.plans import CHOSEN
from heterosis.studies.synergai.published import CLAIMS

REFERENCE = "fcfs"
"""Neither orders nor chooses: first come, first served, on the best static configurations."""
CLAIMANT, RIVAL = "synergai", "slo_mael:as-published"


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """Of one policy under one load. Violations in percentage points, joules per job; positive is better."""

    vm: str
    load: float
    policy: str
    choosing_violations: float
    """The policy on its best static configurations, less the same policy where it chooses."""
    ordering_violations: float
    """The reference on static configurations, less the policy on static ones; the two add up to ``both``."""
    both_violations: float
    choosing_j: float
    ordering_j: float
    both_j: float


def gains(rows: Sequence[Row]) -> list[Gain]:
    """Compare with the reference; none where that was not among the policies."""
    found = {(row.vm, row.load, row.policy, row.configuration): row for row in rows}
    return [
        _gain(found[vm, load, REFERENCE, "static"], found[vm, load, policy, "static"], chosen)
        for (vm, load, policy, configuration), chosen in found.items()
        if configuration == CHOSEN and (vm, load, REFERENCE, "static") in found
    ]


def _gain(reference: Row, static: Row, chosen: Row) -> Gain:
    return Gain(
        vm=chosen.vm,
        load=chosen.load,
        policy=chosen.policy,
        choosing_violations=static.violations - chosen.violations,
        ordering_violations=reference.violations - static.violations,
        both_violations=reference.violations - chosen.violations,
        choosing_j=static.joules_per_request - chosen.joules_per_request,
        ordering_j=reference.joules_per_request - static.joules_per_request,
        both_j=reference.joules_per_request - chosen.joules_per_request,
    )


def beside_the_claims(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """By how much SynergAI is claimed to be below SLO-MAEL, and is here: the claim of the paper, and our figure.

    Ours is the mean over the loads of SLO-MAEL on its best static configurations over that of SynergAI's rule where it
    chooses. Empty where one of them was not among the policies.
    """
    measures = {"violations": "violations", "excess": "excess_ms", "overhead": "decision_us"}
    rival = [row for row in rows if row.policy == RIVAL and row.configuration != CHOSEN]
    claimant = [row for row in rows if row.policy == CLAIMANT and row.configuration == CHOSEN]
    if not rival or not claimant:
        return {}
    return {
        name: (
            CLAIMS[name],
            fmean(getattr(row, field) for row in rival) / fmean(getattr(row, field) for row in claimant),
        )
        for name, field in measures.items()
    }

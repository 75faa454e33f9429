"""KAIROS' setting: what the largest queries lose to whoever knows no future."""

import numpy as np
import pytest

from heterosis.studies.kairos import at_load
from heterosis.studies.kairos.clairvoyant import least_lost
from heterosis.studies.kairos.largest import Kind, fewest_lost, lost_without_foresight

RUN_S = 1.0


def kind(per_s: float, elsewhere: float = 0.0) -> Kind:
    """Queries that all run equally long."""
    return Kind(per_s, np.array([RUN_S]), elsewhere)


def test_who_cannot_wait_is_lost_as_in_erlangs_system() -> None:
    """One machine, and no time but for the run."""
    assert fewest_lost([kind(0.5)], RUN_S) == pytest.approx(0.5 * 0.5 / 1.5, rel=0.02)


def test_who_may_wait_is_lost_as_in_a_simulation() -> None:
    """All join who can still be in time: there is nothing to choose."""
    rng, limit_s, per_s = np.random.default_rng(0), 2.5 * RUN_S, 0.6
    free, lost, count = 0.0, 0, 100_000
    for at in np.cumsum(rng.exponential(1 / per_s, count)):
        end = max(at, free) + RUN_S
        if end <= at + limit_s:
            free = end
        else:
            lost += 1
    assert fewest_lost([kind(per_s)], limit_s) == pytest.approx(per_s * lost / count, rel=0.05)


def test_chances_elsewhere_are_taken_where_they_save_more() -> None:
    """Who is nearly sure to be in time elsewhere leaves the machine to those who are not; who is not, does not."""
    alone = fewest_lost([kind(0.5)], 2 * RUN_S)
    nearly, hardly = (fewest_lost([kind(0.5), kind(0.5, chance)], 2 * RUN_S) for chance in (0.99, 0.01))
    assert alone < nearly < alone + 0.5 * 0.011
    assert hardly > nearly + 0.1


@pytest.mark.parametrize(("model", "qps"), [("rm2", 128.4), ("ncf", 6408.0)])
def test_it_lies_between_who_knows_the_future_and_our_policy(model: str, qps: float) -> None:
    """At the load that KAIROS is allowed."""
    found = lost_without_foresight(model, qps)
    assert found is not None
    known = [least_lost(model, qps, seed=seed) for seed in range(3)]
    ours = [at_load(model, "heterosis", qps, seed=seed).largest_decile_violations for seed in range(3)]
    assert sum(each for each in known if each is not None) / 3 < found < 1.1 * sum(ours) / 3


def test_several_base_machines_are_another_case() -> None:
    """It is told so."""
    assert lost_without_foresight("dien", 600.0) is None

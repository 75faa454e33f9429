"""Ours: who goes first, while the SLO is safe and when it is at risk."""

import pytest

from heterosis.scheduling import RefuseRequest
from heterosis.studies.kairos import at_load
from heterosis.testing import Driver, make_pool, runs

MACHINES = {"gpu": {1: 10.0, 2: 20.0}, "cpu": {1: 40.0, 2: 80.0}}
"""Milliseconds of a call, by its items."""


def first_on_the_gpu(policy: str, lost: int = 0) -> str:
    """Say who goes first when the GPU gets free: ``waited``, or ``scarce`` of two items.

    When ``waited`` came both machines could have run it in time; now it is the GPU alone, as ever for ``scarce``, which
    can better afford to wait. Meanwhile so many requests were refused, since they had no time.
    """
    driver = Driver(make_pool(MACHINES, max_batch=2, policy=policy))
    assert runs(driver.ask("on the gpu", deadline=0.025, size=2))[0][0] == "gpu"
    assert runs(driver.ask("on the cpu", deadline=0.2, size=2))[0][0] == "cpu"
    for number in range(lost):
        (refused,) = driver.arrive(f"lost-{number}", deadline=0.001)
        assert isinstance(refused, RefuseRequest)
    assert driver.ask("waited", deadline=0.05) == []
    assert driver.ask("scarce", deadline=0.05, size=2, after=0.012) == []
    ((machine, (first,)),) = runs(driver.done("gpu", after=0.008, run_ms=20))
    assert machine == "gpu"
    return first


def test_while_the_slo_is_safe_who_never_had_a_choice_goes_first() -> None:
    """A call does not become scarce by waiting."""
    assert first_on_the_gpu("heterosis") == "scarce"


def test_when_the_slo_is_at_risk_only_what_is_left_of_the_choice_counts() -> None:
    """Both can run on the GPU alone, and the shorter and more urgent one goes first."""
    assert first_on_the_gpu("heterosis", lost=40) == "waited"


@pytest.mark.parametrize("part", ["sparing", "scarcity"])
def test_without_the_part_the_more_urgent_goes_first(part: str) -> None:
    """Leaving out either leaves the order to slack."""
    assert first_on_the_gpu(f"heterosis:without_{part}") == "waited"


def test_sparing_moves_violations_off_the_largest() -> None:
    """At a load with few violations a smaller share of them is among the tenth that has the most items."""
    for model, qps in (("mtwnd", 921.0), ("ncf", 6408.0)):
        spared, not_spared = (
            sum(at_load(model, policy, qps, seed=seed).largest_decile_violations for seed in range(2))
            for policy in ("heterosis", "heterosis:without_sparing")
        )
        assert spared < not_spared

"""A version on trial: promoted where it is good enough, backed out as soon as it surely is not."""

import numpy as np
import pytest

from heterosis.control.canary import CHANCE, Canary, Tally, Trial

NOTHING = Tally(0, 0)


def tried(miss: float, *, former: float = 0.0, differ: float = 0.0, agreement: float | None = None, seed: int) -> bool:
    """Try a version whose requests miss, and whose answers differ, with these chances; tell what becomes of it."""
    rng, canary = np.random.default_rng(seed), Canary(Trial(share=0.1, requests=100, agreement=agreement), 99.0)
    counts = {True: [0, 0], False: [0, 0]}
    for _ in range(5000):
        of = canary.takes()
        counts[of][0] += 1
        counts[of][1] += bool(rng.random() < (miss if of else former))
        if of and agreement is not None:
            canary.compared(same=bool(rng.random() >= differ))
        found = canary.verdict(Tally(*counts[True]), Tally(*counts[False]))
        if found is not None:
            assert counts[True][0] <= 100
            return found.promoted
    raise AssertionError("nothing came of it")


def share(**chances: float) -> float:
    """Share of trials that end well."""
    return float(np.mean([tried(seed=seed, **chances) for seed in range(40)]))


def test_it_gets_its_share_evenly() -> None:
    """Not in a lump."""
    canary = Canary(Trial(share=0.25), 99.0)
    assert [canary.takes() for _ in range(8)] == [False, False, False, True] * 2


def test_as_good_as_the_slo_is_good_enough_and_ten_times_worse_is_not() -> None:
    """By what a hundred requests can tell."""
    assert share(miss=0.0) == 1.0
    assert share(miss=0.005) > 0.9
    assert share(miss=0.1) < 0.1


def test_no_version_must_be_better_than_the_one_before() -> None:
    """Where a tenth is late anyway, it need not do better."""
    assert share(miss=0.1, former=0.1) > 0.9
    assert share(miss=0.4, former=0.1) < 0.1


def test_answers_that_differ_count_where_they_are_compared() -> None:
    """Down to the share that was asked for."""
    assert share(miss=0.0, differ=0.02, agreement=0.95) > 0.9
    assert share(miss=0.0, differ=0.3, agreement=0.95) == 0.0


def test_one_that_only_fails_is_backed_out_at_once() -> None:
    """Before many requests have gone that way."""
    canary = Canary(Trial(), 99.0)
    assert canary.verdict(NOTHING, NOTHING) is None
    assert canary.verdict(Tally(1, 1), NOTHING) is None
    found = canary.verdict(Tally(2, 2), Tally(18, 0))
    assert found is not None
    assert not found.promoted
    assert found.reason == "2 of 2 requests failed or were late, 0 of 18 of the former version's"


@pytest.mark.parametrize("tally", [Tally(50, 2), Tally(50, 3), Tally(50, 4), Tally(200, 7), Tally(3, 1)])
def test_chance_is_the_binomial_one(tally: Tally) -> None:
    """As scipy has it."""
    from scipy.stats import binom

    assert tally.unlikely(0.01) == (binom.sf(tally.wrong - 1, tally.asked, 0.01) < CHANCE)

"""KAIROS' setting: what the largest queries lose, whoever serves them."""

import numpy as np
import pytest

from heterosis.studies.kairos import at_load
from heterosis.studies.kairos.largest import LargestSizes, lost_alone
from heterosis.studies.kairos.setting import QuerySizes

QPS = 6408.0
"""What KAIROS is allowed on ncf."""


def test_the_largest_sizes_are_the_last_tenth_of_all() -> None:
    """Their quantiles are those of all sizes, a tenth of the way from the end."""
    rng = np.random.default_rng(0)
    every, largest = np.array(QuerySizes().draw(rng, 200_000)), np.array(LargestSizes().draw(rng, 20_000))
    assert largest.min() >= np.quantile(every, 0.9) - 10
    for percent in (25, 50, 75):
        assert np.percentile(largest, percent) == pytest.approx(np.percentile(every, 90 + percent / 10), abs=15)


@pytest.mark.parametrize("policy", ["heterosis", "kairos", "clockwork"])
def test_with_the_pool_to_themselves_they_lose_nearly_half_as_much_as_among_all_under_kairos(policy: str) -> None:
    """On ncf only one GPU can run most of them in time; so no order of the others could spare them much more."""
    among_all = np.mean([at_load("ncf", "kairos", QPS, seed=seed).largest_decile_violations for seed in range(2)])
    assert lost_alone("ncf", policy, QPS) > 0.4 * among_all

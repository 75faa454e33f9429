"""Pools: which there are, KAIROS' bound and rules, the search, and the least price or power for a rate."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heterosis.planning.pools import (
    Load,
    Pool,
    Rates,
    Scarcity,
    cheapest_first,
    cost,
    least_upkeep,
    medoid,
    pools_within,
    ranked,
    rates_of,
    search,
    upper_bound,
)

PROFILE: dict[str, tuple[tuple[float, ...], ...]] = {
    "ncf": ((861.33, 0, 0, 0), (499.0, 0.967, 0.942)),
    "rm2": ((15.04, 0, 0, 0), (10.39, 0.984, 0.941)),
    "wnd": ((246.18, 0, 0, 0), (106.1, 0.951, 0.903)),
    "mtwnd": ((167.36, 0, 0, 0), (89.4, 0.877, 0.792)),
    "dien": ((105.56, 0, 0, 0), (63.06, 0.857, 0.788)),
}
"""The artifact's own profile: base rate; then of r5n.large its rate, share of small requests, and of their time."""
PUBLISHED = {
    "ncf": ((1, 13), 7181),
    "rm2": ((1, 13), 144.2),
    "wnd": ((1, 13), 1556),
    "mtwnd": ((2, 9), 1061),
    "dien": ((2, 9), 733),
}
"""Of the pool of g4dn.xlarge and r5n.large that ranks first, the upper bound that comes of that profile."""


def test_pools_within_a_budget_are_all_and_only_those() -> None:
    """With prices 2 and 1 and a budget of 4: two base machines alone, or one with up to two others."""
    assert list(pools_within(4, [2, 1])) == [(1, 0), (1, 1), (1, 2), (2, 0)]


def test_kairos_prices_allow_331_pools() -> None:
    """At $2.5 an hour with at least one GPU, as in the paper."""
    assert len(list(pools_within(2.5, [0.526, 0.432, 0.149, 0.1664]))) == 331


@given(st.lists(st.floats(0, 3), min_size=1, max_size=4, unique=True))
@settings(max_examples=30, deadline=None)
def test_bands_of_price_hold_every_pool_once(edges: list[float]) -> None:
    """However the prices are cut into bands, each pool is in the one that its price is in."""
    prices = (0.5, 0.25, 0.2)
    bands = [-1.0, *sorted(edges), 3.0]
    found = [pool for low, high in pairwise(bands) for pool in pools_within(high, prices, least_base=0, above=low)]
    assert sorted(found) == sorted(pools_within(3.0, prices, least_base=0))


def test_the_upper_bound_of_base_machines_alone_is_their_rate() -> None:
    """Two machines of 0.1 s serve 20/s."""
    load = Load(shares=(1.0,), run_s=((0.1,), (0.5,)), limit_s=0.2)
    assert upper_bound(rates_of(load), (2, 0)) == pytest.approx(20)


def test_auxiliary_machines_help_until_the_large_requests_fill_the_base() -> None:
    """Half of the requests only the base type serves: beyond twice its rate on those, more machines add nothing."""
    load = Load(shares=(0.25, 0.25, 0.5), run_s=((0.1, 0.1, 0.1), (0.1, 0.3, 0.3)), limit_s=0.2)
    bounds = [upper_bound(rates_of(load), (1, count)) for count in (0, 1, 10, 20)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert bounds[2] == bounds[3] == pytest.approx(20)
    assert ranked(load, [(1, 0), (1, 1)])[0][1] == (1, 1)


def test_a_type_that_is_never_late_adds_its_whole_rate() -> None:
    """Without a cut-off the rates add up."""
    load = Load(shares=(0.5, 0.5), run_s=((0.1, 0.1), (0.2, 0.2)), limit_s=0.3)
    assert upper_bound(rates_of(load), (1, 2)) == pytest.approx(20)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_upper_bound_of_the_published_profile_is_the_published_one(model: str) -> None:
    """Within one in a thousand: the profile is rounded."""
    (base, *_), (rate, small, busy) = PROFILE[model]
    pool, bound = PUBLISHED[model]
    rates = Rates(base_per_s=base, cut_offs=(0, 0), small=(small,), base_busy=(busy,), small_per_s=((base,), (rate,)))
    assert upper_bound(rates, pool) == pytest.approx(bound, rel=1e-3)


def test_the_medoid_is_the_pool_most_like_the_others() -> None:
    """Four in a row and one far off: the one nearest to their middle."""
    assert medoid([(0, 0), (1, 0), (2, 0), (3, 0), (9, 0)]) == (3, 0)
    assert medoid([(1, 2)]) == (1, 2)


def random_load(seed: int) -> tuple[Load, np.random.Generator]:
    """Three types, of which the first is never too slow, and five sizes."""
    rng = np.random.default_rng(seed)
    run_s = np.sort(rng.uniform(0.01, 0.2, (3, 5)), axis=1)
    run_s[0] *= 0.5
    shares = rng.dirichlet(np.ones(5))
    return Load(shares=tuple(shares), run_s=tuple(map(tuple, run_s.tolist())), limit_s=0.1), rng


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_a_search_that_trusts_its_bounds_alone_finds_the_best(seed: int) -> None:
    """With figures below (costs: above) their bounds, an optimism of 1 finds what trying all finds, in fewer trials."""
    rng = np.random.default_rng(seed)
    for highest in (True, False):
        sign = 1 if highest else -1
        bounds = np.sort(rng.uniform(1, 2, 12))[::-sign]
        figures = bounds * (1 - sign * rng.uniform(0, 0.5, 12))
        known: dict[Pool, float] = {(number,): float(figure) for number, figure in enumerate(figures)}
        bounded = [(float(bound), (number,)) for number, bound in enumerate(bounds)]

        def measure(
            pool: Pool, record: float | None, known: dict[Pool, float] = known, sign: int = sign
        ) -> float | None:
            return known[pool] if record is None or sign * known[pool] > sign * record else None

        found = search(bounded, measure, highest=highest, optimism=1)
        assert found.best is not None
        assert found.best.measured == (max if highest else min)(known.values())
        some = search(bounded, measure, highest=highest)
        assert len(some.trials) <= len(found.trials) <= 12


def test_a_search_says_when_nothing_will_do() -> None:
    """All were measured, and none achieves anything."""
    found = search([(2.0, (1,)), (1.0, (0,))], lambda _pool, _record: None)
    assert found.best is None
    assert len(found.trials) == 2


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_the_cheapest_pools_come_in_order_and_none_is_left_out(seed: int) -> None:
    """The same as bounding every pool of up to four machines of a type."""
    load, rng = random_load(seed)
    prices, rate = tuple(rng.uniform(0.5, 1.5, 3)), float(rng.uniform(10, 60))
    stream = cheapest_first(load, rate, prices)
    found = [next(stream) for _ in range(3)]
    assert [price for price, _ in found] == sorted(price for price, _ in found)
    assert all(price == pytest.approx(cost(pool, prices)) for price, pool in found)
    able = [pool for pool in product(range(5), repeat=3) if load.most(pool).per_s >= rate]
    if able:
        assert found[0][0] <= min(cost(pool, prices) for pool in able) + 1e-9


@given(st.integers(0, 10_000))
@example(23)  # where what costs least by being there costs five times as much to run
@settings(max_examples=15, deadline=None)
def test_running_costs_count_only_while_machines_are_busy(seed: int) -> None:
    """The first pool by watts costs no more than any other that could serve the rate; no bound exceeds all busy."""
    load, rng = random_load(seed)
    idle, dynamic, rate = tuple(rng.uniform(5, 20, 3)), tuple(rng.uniform(5, 50, 3)), float(rng.uniform(10, 30))
    watts, pool = next(cheapest_first(load, rate, idle, dynamic))
    upkeep = least_upkeep(load, rate, dynamic, pool)
    assert upkeep is not None
    assert watts == pytest.approx(cost(pool, idle) + upkeep.cost)
    assert watts <= cost(pool, idle) + cost(pool, dynamic) + 1e-9
    for other in product(range(4), repeat=3):
        least = least_upkeep(load, rate, dynamic, other)
        if least is not None:
            assert watts <= cost(other, idle) + least.cost + 1e-6


def test_what_no_type_serves_in_time_has_no_pool() -> None:
    """However many machines."""
    load = Load(shares=(1.0,), run_s=((0.3,),), limit_s=0.2)
    assert list(cheapest_first(load, 1.0, (1.0,))) == []


def test_a_type_that_nothing_replaces_is_not_tried_again_in_vain() -> None:
    """Only the first type serves large sizes; if it needs three machines of it, none with fewer is tried for long."""
    load = Load(shares=(0.5, 0.5), run_s=((0.1, 0.1), (0.1, 0.9)), limit_s=0.2)
    asked: list[Pool] = []

    def holds(pool: Pool) -> bool:
        asked.append(pool)
        return pool[0] >= 3 and pool[1] >= 2

    scarcity = Scarcity(load, 10, holds)
    bounded = [(float(one + count), (one, count)) for count in range(4) for one in range(1, 5)]
    found = search(
        scarcity.spare(sorted(bounded)),
        lambda pool, _: float(sum(pool)) if scarcity.holds(pool) else None,
        highest=False,
    )
    assert found.best is not None
    assert found.best.pool == (3, 2)
    assert scarcity.too_few == {0: 2}
    assert [pool for pool in asked if pool[0] <= 2] == [(1, 0), (1, 5), (2, 0), (2, 5)]

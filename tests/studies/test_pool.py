"""The study of pools, on small settings; its figures at full length are in the documentation."""

from pathlib import Path

import msgspec
import pytest

from heterosis.planning.pools import TOP, Pool, medoid, pools_within, ranked, strongest_first
from heterosis.studies.kairos.setting import BUDGET_PER_HOUR, MODELS, PRICES, TYPES
from heterosis.studies.pool import Row, draw
from heterosis.studies.pool.choice import least_power, least_price, most_load
from heterosis.studies.pool.comparison import compare
from heterosis.studies.pool.offer import Offer, OfferFile, kairos_offer
from heterosis.studies.pool.trials import Trials
from heterosis.studies.study import Options, silent
from heterosis.terms.errors import HeterosisError, UsageError

FIRST: dict[str, Pool] = {model: kind.pool for model, kind in MODELS.items()}


@pytest.fixture(scope="module")
def pools() -> list[Pool]:
    """All 331."""
    return list(pools_within(BUDGET_PER_HOUR, [PRICES[kind] for kind in TYPES]))


@pytest.mark.parametrize("model", ["rm2", "dien"])
def test_few_programs_bound_all_pools(model: str, pools: list[Pool]) -> None:
    """In the order, and with the bounds, that solving each pool's own program gives."""
    load = kairos_offer(model).load()
    some = [pool for number, pool in enumerate(pools) if number % 23 == 0]
    found = list(strongest_first(load, some))
    each = sorted((load.most(pool).per_s for pool in some), reverse=True)
    assert [bound for bound, _ in found] == pytest.approx(each)


@pytest.mark.parametrize("model", MODELS)
def test_the_bounds_rank_first_what_the_published_bound_does(model: str, pools: list[Pool]) -> None:
    """With fitted and with measured run times; the medoid of the ten best is another pool, of a lower bound."""
    load = kairos_offer(model).load()
    assert next(strongest_first(load, pools))[1] == FIRST[model]
    best = ranked(load, pools)
    assert best[0][1] == FIRST[model]
    middle = medoid([pool for _, pool in best[:TOP]])
    assert load.most(middle).per_s < load.most(FIRST[model]).per_s


@pytest.mark.parametrize("model", MODELS)
def test_chances_of_samples_and_of_fitted_noise_give_like_bounds(model: str, published_data: Path) -> None:
    """Within 4 %, as of the means."""
    for pool in ((4, 0, 0, 0), FIRST[model]):
        fitted, measured = (kairos_offer(model, data).load().most(pool).per_s for data in (None, published_data))
        assert fitted == pytest.approx(measured, rel=0.04)


def test_a_small_study_has_a_row_for_each_rule_and_draws_them(tmp_path: Path) -> None:
    """With $1.2 an hour: mixed pools beat GPUs alone, and nobody exceeds its bound, nor the best of all."""
    rows = compare(Options(seeds=1, jobs=1), silent, models=("dien",), budget=1.2, requests=400)
    assert [row.rule for row in rows] == ["homogeneous", "kairos:medoid", "kairos:ub-first", "kairos+", "heterosis"]
    of_rule = {row.rule: row for row in rows}
    assert of_rule["homogeneous"].pool == (2, 0, 0, 0)
    assert of_rule["heterosis"].share_of_best >= 0.97
    assert of_rule["heterosis"].allowable_qps > of_rule["homogeneous"].allowable_qps
    assert of_rule["kairos+"].evaluations >= 1
    for row in rows:
        assert 0 < row.allowable_qps < row.lp_bound
        assert row.share_of_best <= 1
    again = msgspec.json.decode(msgspec.json.encode(rows), type=list[Row])
    assert again == rows
    assert [path.stat().st_size > 10_000 for path in draw(again, tmp_path)] == [True]


OFFER = """{"model": "ocr", "latency_ms": 250, "sizes": {"1": 7, "8": 3},
 "types": [{"name": "gpu", "price_per_hour": 0.5, "latency_ms": {"1": 12, "8": 30}, "cv": 0.05,
            "idle_power_w": 20, "active_power_w": 90},
           {"name": "cpu", "price_per_hour": 0.15, "latency_ms": {"1": 60, "8": 400},
            "idle_power_w": 2, "active_power_w": 10}]}"""


@pytest.fixture
def offer() -> Offer:
    """GPUs, and CPUs that are too slow for the larger of two sizes."""
    return msgspec.json.decode(OFFER, type=OfferFile).offer()


def test_a_file_says_what_is_offered(offer: Offer) -> None:
    """Shares add up to 1, the chance of a run with noise is between 0 and 1, that of a sure one is either."""
    load = offer.load()
    assert sum(load.shares) == pytest.approx(1)
    assert load.chances is not None
    assert load.chances[0] == pytest.approx((1, 1))
    assert load.chances[1] == (1, 0)
    tight = msgspec.structs.replace(offer, latency_ms=30.0).load()
    assert tight.chances is not None
    assert tight.chances[0][1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"gpu"', '"cpu"', "a name of its own"),
        ('"price_per_hour": 0.5', '"price_per_hour": 0', "type gpu needs a price"),
        ('"1": 7, "8": 3', '"1": 0', "shares that add up"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(old: str, new: str, said: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(UsageError, match=said):
        msgspec.json.decode(OFFER.replace(old, new), type=OfferFile).offer()


def test_the_choices_agree_with_each_other(offer: Offer) -> None:
    """What serves most for a budget holds a little less; the cheapest for that costs no more than the budget."""
    trials = Trials(offer, "heterosis", 1, requests=400)
    most = most_load(trials, 1.0)
    assert most.price_per_hour <= 1.0
    assert most.measured < 1.05 * most.bound_rps  # which holds in the long run
    rate = 0.95 * most.measured
    cheapest = least_price(trials, rate)
    assert cheapest.price_per_hour <= most.price_per_hour
    assert trials.holds(tuple(cheapest.pool.values()), rate)
    assert offer.power is not None
    with_power = Trials(offer, "heterosis", 1, requests=400, power=offer.power)
    frugal = least_power(with_power, rate, offer.power)
    assert frugal.measured <= 1.02 * with_power.power_w(tuple(cheapest.pool.values()), rate)
    assert frugal.measured >= frugal.tried[0].bound


def test_what_cannot_be_served_is_said(offer: Offer) -> None:
    """No money, or no type fast enough."""
    trials = Trials(offer, "heterosis", 1, requests=400)
    with pytest.raises(HeterosisError, match=r"no pool for \$0.1 an hour"):
        most_load(trials, 0.1)
    slow = Trials(msgspec.structs.replace(offer, latency_ms=5.0), "heterosis", 1, requests=400)
    with pytest.raises(HeterosisError, match="no pool serves 1 queries"):
        least_price(slow, 1.0)

"""Plans, whole."""

from collections.abc import Mapping

import msgspec
import pytest

from heterosis.planning import InfeasibleError, Snapshot, Verdict, max_rate, plan
from heterosis.terms import Plan, Quality, Slo, Variant
from heterosis.terms.errors import UsageError
from heterosis.testing.snapshots import chain, point, snapshot, variant

DETECT, READ, READ_TINY = (
    variant("detect", accuracy=0.9),
    variant("read", accuracy=0.9),
    variant("read", "tiny", accuracy=0.8),
)


def ocr(*, joules: bool = True, **changes: object) -> Snapshot:
    """Return a detector and a reader of eight lines; the tiny reader is cheaper, two threads are faster but dearer."""
    points = [
        point(
            made,
            threads,
            batch,
            mean_ms * batch / threads**0.8,
            joules=mean_ms * batch * threads**0.2 / 100 if joules else None,
        )
        for made, mean_ms in ((DETECT, 100.0), (READ, 20.0), (READ_TINY, 10.0))
        for threads in (1, 2)
        for batch in (1, 4)
    ]
    whole = snapshot(
        chain({"detect": [1, 1], "read": [8, 8]}),
        [DETECT, READ, READ_TINY],
        points,
        slo=Slo(latency_ms=1000, percentile=99),
        rate_rps=0.5,
        reference_accuracy=0.9,
    )
    slo = msgspec.structs.replace(whole.slo, **{key: value for key, value in changes.items() if key != "rate_rps"})
    return msgspec.structs.replace(whole, slo=slo, rate_rps=changes.get("rate_rps", whole.rate_rps))


def dynamic(made: Plan) -> float:
    """Return a plan's joules per request."""
    joules = made.predicted.dynamic_energy_per_request.joules
    assert joules is not None
    return joules


def test_the_cheapest_options_are_taken_where_nothing_binds() -> None:
    """With time to spare and no floor: one thread, the tiny reader."""
    made = plan(ocr(latency_ms=5000))
    assert made.stage("read").variant == READ_TINY
    assert {placement.configuration.threads for placement in made.placements} == {1}
    assert dynamic(made) == pytest.approx(1.0 + 8 * 0.1)
    assert "no limit binds: the cheapest options keep them all" in made.reasons


def test_an_accuracy_floor_buys_the_better_variant() -> None:
    """At 0.805 the tiny reader is out, and the plan says what the floor costs."""
    made = plan(ocr(latency_ms=5000, min_accuracy=0.805))
    assert made.stage("read").variant == READ
    assert made.predicted.accuracy == pytest.approx(0.9)
    price = "a plan without it would save 0.8 J (31%) per request; one 0.01 lower, 0.8 J (31%)"
    assert f"the accuracy floor binds: {price}" in made.reasons


def test_a_tight_slo_buys_speed_with_joules() -> None:
    """More threads or instances, more joules, less time."""
    cheap, quick = plan(ocr(latency_ms=1000)), plan(ocr(latency_ms=190))
    assert dynamic(quick) > dynamic(cheap)
    assert quick.predicted.latency_ms <= 190
    assert any(reason.startswith("the SLO binds") for reason in quick.reasons)


def test_a_plan_keeps_its_own_constraints() -> None:
    """Slots exist and are disjoint within a stage, the budgets fill the SLO, the tail is what follows."""
    made = plan(ocr(latency_ms=600, min_accuracy=0.9))
    for stage in ("detect", "read"):
        slots = [slot for each in made.placements if each.configuration.stage == stage for slot in each.slots]
        assert len(slots) == len(set(slots))
        assert set(slots) <= {0, 1}
        assert all(len(each.slots) == each.configuration.threads for each in made.placements)
    assert sum(stage.budget_ms for stage in made.stages) == pytest.approx(600)
    assert made.stage("read").tail_ms == 0
    assert 0 < made.stage("detect").tail_ms < made.predicted.latency_ms
    assert made.stage("read").demand_per_s == pytest.approx(0.5 * 8)
    assert made.predicted.latency_ms <= 600
    assert made.predicted.utilisation >= max(stage.utilisation for stage in made.stages)


def test_the_plan_has_every_point_of_what_it_chose_and_no_other() -> None:
    """The scheduler estimates from them: every measured batch size."""
    made = plan(ocr())
    chosen = {placement.configuration for placement in made.placements}
    assert {point.configuration for point in made.points} == chosen
    assert len(made.points) == 2 * len(chosen)


def test_instances_are_named_after_their_stage() -> None:
    """detect-0, detect-1, ..."""
    names = [placement.instance for placement in plan(ocr(latency_ms=190)).placements]
    assert "detect-0" in names
    assert len(names) == len(set(names))


def test_stages_of_one_instance_take_slots_of_their_own() -> None:
    """One thread each, two slots: one each, not both on the first."""
    made = plan(ocr(latency_ms=5000))
    assert {placement.slots for placement in made.placements} == {(0,), (1,)}


def test_power_is_idle_power_and_the_joules_of_each_request() -> None:
    """5 W idle, modelled; half a request a second."""
    made = plan(ocr(latency_ms=5000))
    assert made.predicted.power.joules == pytest.approx(5 + 0.5 * 1.8)
    assert made.predicted.power.quality is Quality.MODELLED


def test_unknown_energy_is_not_planned_with() -> None:
    """One point without joules: least CPU time, said so, and no joules made up."""
    made = plan(ocr(joules=False, latency_ms=5000))
    assert made.reasons[0] == "least CPU time per request, since the energy of some options is unknown"
    assert made.predicted.dynamic_energy_per_request.joules is None
    assert made.predicted.power.joules is None


def test_the_same_snapshot_gives_the_same_plan() -> None:
    """To the last byte."""
    assert msgspec.json.encode(plan(ocr())) == msgspec.json.encode(plan(ocr()))


def test_a_plan_survives_being_written_down() -> None:
    """As JSON and back."""
    made = plan(ocr())
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_every_option_has_a_reason_and_one_per_stage_is_taken() -> None:
    """Variants x threads x batches, each once."""
    made = plan(ocr(min_accuracy=0.85))
    assert len(made.options) == 3 * 2 * 2
    assert all(option.reason for option in made.options)
    assert {option.stage for option in made.options if option.chosen} == {"detect", "read"}
    assert sum(option.chosen for option in made.options) == 2


def test_a_combination_that_measures_badly_is_ruled_out() -> None:
    """The estimate is good enough, the measurement is not: the next best is planned, with its measured accuracy."""
    asked: list[str] = []

    def judge(combination: Mapping[str, Variant]) -> float:
        asked.append(combination["read"].model)
        return 0.7 if combination["read"] == READ_TINY else 0.88

    made = plan(ocr(latency_ms=5000, min_accuracy=0.79), judge=judge)
    assert asked == ["tiny", "small"]
    assert made.stage("read").variant == READ
    assert made.predicted.accuracy == 0.88
    assert any("ruled out" in reason and "0.7" in reason for reason in made.reasons)


def test_when_all_combinations_measure_badly_the_best_of_them_is_the_nearest() -> None:
    """What was measured is what is possible."""
    with pytest.raises(InfeasibleError, match="were measured") as caught:
        plan(ocr(latency_ms=5000, min_accuracy=0.79), judge=lambda of: 0.7 if of["read"] == READ_TINY else 0.75)
    assert caught.value.nearest.accuracy == 0.75


def test_a_plan_that_misses_when_tried_is_tightened() -> None:
    """Tried plans take a third longer than predicted: the plan accepted is one that then holds, and says so."""
    tried: list[float] = []

    def verify(draft: Plan) -> Verdict:
        tried.append(draft.predicted.latency_ms)
        latency_ms = draft.predicted.latency_ms * 1.33
        return Verdict(latency_ms=latency_ms, attainment=1.0 if latency_ms <= draft.slo.latency_ms else 0.9)

    untried = plan(ocr(latency_ms=250))
    made = plan(ocr(latency_ms=250), verify=verify)
    assert untried.predicted.latency_ms * 1.33 > 250
    assert len(tried) > 1
    assert made.predicted.latency_ms == pytest.approx(tried[-1] * 1.33)
    assert made.predicted.latency_ms <= 250
    assert dynamic(made) >= dynamic(untried)
    assert any(reason.startswith("tightened to") for reason in made.reasons)
    assert any(reason.startswith("tried: ") for reason in made.reasons)


def test_a_plan_that_holds_when_tried_stays() -> None:
    """Its predicted latency is then the tried one."""
    made = plan(ocr(), verify=lambda _: Verdict(latency_ms=123.0, attainment=1.0))
    assert made.predicted.latency_ms == 123
    assert made.placements == plan(ocr()).placements


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(latency_ms=5000, attainment=0.1),
        Verdict(latency_ms=200, attainment=0.9),
        Verdict(latency_ms=float("nan"), attainment=0.0),
    ],
)
def test_tightening_ends(verdict: Verdict) -> None:
    """Where every plan misses, by its latency, by what it refused, or by both, the tries are few."""
    tried = []

    def verify(draft: Plan) -> Verdict:
        tried.append(draft)
        return verdict

    with pytest.raises(InfeasibleError, match="kept in reserve") as caught:
        plan(ocr(latency_ms=300), verify=verify)
    assert len(tried) <= 8
    assert len({made.placements for made in tried}) == len(tried)
    assert caught.value.nearest.latency_ms is not None
    assert caught.value.nearest.latency_ms > 300


def test_the_highest_rate_is_possible_and_little_more_is_not() -> None:
    """One per cent more is too much."""
    rate = max_rate(ocr(latency_ms=400))
    assert plan(ocr(latency_ms=400, rate_rps=rate)).predicted.latency_ms <= 400
    with pytest.raises(InfeasibleError):
        plan(ocr(latency_ms=400, rate_rps=rate * 1.01))


def test_a_looser_slo_never_lowers_the_highest_rate() -> None:
    """More time for each request, more requests."""
    rates = [max_rate(ocr(latency_ms=latency_ms)) for latency_ms in (150, 200, 400, 1600)]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_no_rate_is_possible_where_a_lone_request_is_late() -> None:
    """Then it is the SLO that is at fault."""
    with pytest.raises(InfeasibleError) as caught:
        max_rate(ocr(latency_ms=20))
    assert caught.value.binding == ("latency",)


def test_a_stage_that_was_not_measured_is_named() -> None:
    """With what to do about it."""
    whole = ocr()
    points = tuple(each for each in whole.profile.points if each.configuration.stage == "detect")
    profile = msgspec.structs.replace(whole.profile, points=points)
    with pytest.raises(UsageError, match=r"no option of stage 'read'.*profile it"):
        plan(msgspec.structs.replace(whole, profile=profile))


@pytest.mark.parametrize("rate_rps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_must_be_a_positive_number(rate_rps: float) -> None:
    """Anything else is refused at once."""
    with pytest.raises(UsageError, match="rate must be a positive number"):
        ocr(rate_rps=rate_rps)

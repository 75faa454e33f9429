"""Plans: which variant runs where."""

import msgspec
import pytest

from heterosis.terms import Plan
from heterosis.testing import Kind, make_latency, make_mixed_plan, make_plan

KINDS = {name: Kind(latencies=(make_latency(5, 6, 7),), power_w=1.0, instances=1) for name in ("one", "other")}


def test_instances_of_one_stage_may_run_different_variants() -> None:
    """A configuration names its variant, also after a journey through JSON."""
    plan = make_mixed_plan("a", KINDS, slo_ms=50)
    plan = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert [plan.variant(placement.configuration).model for placement in plan.placements] == ["one", "other"]
    assert plan.stage("a").variant.model == "one"


def test_the_only_variant_of_a_stage_need_not_be_named_twice() -> None:
    """Where a stage lists no variants, all its instances run the one that was chosen."""
    plan = make_plan({"a": 5.0})
    assert plan.variant(plan.placements[0].configuration) == plan.stage("a").variant


def test_a_variant_that_is_not_planned_is_an_error() -> None:
    """No instance is given another variant in silence."""
    plan = make_mixed_plan("a", KINDS, slo_ms=50)
    unknown = msgspec.structs.replace(plan.placements[0].configuration, variant="none")
    with pytest.raises(KeyError, match="none"):
        plan.variant(unknown)

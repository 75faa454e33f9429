"""The setting without a planner."""

import msgspec
import pytest

from heterosis.planning import Snapshot, naive_plan, plan
from heterosis.terms import OperatingPoint, Plan, Slo
from heterosis.terms.errors import UsageError
from heterosis.testing.snapshots import chain, point, snapshot, variant

INT8, FP32, TINY = variant("a", precision="int8"), variant("a"), variant("a", "tiny")


def whole(*points: OperatingPoint, rate_rps: float = 1.0) -> Snapshot:
    """Return a stage of three calls with three variants."""
    slo = Slo(latency_ms=1000, percentile=99)
    return snapshot(chain({"a": [3]}), [INT8, FP32, TINY], points, slo=slo, rate_rps=rate_rps)


MEASURED = (
    point(INT8, 2, 1, 5.0, joules=0.1),
    point(FP32, 1, 1, 20.0, joules=0.2),
    point(FP32, 2, 1, 12.0, joules=0.3),
    point(FP32, 2, 4, 40.0, joules=1.0),
    point(TINY, 2, 1, 2.0, joules=0.1),
)


def test_one_unmanaged_instance_of_the_reference_per_stage() -> None:
    """The reference model in fp32, the engine's threads, no slots, batch 1, first come first served."""
    made = naive_plan(whole(*MEASURED))
    (placement,) = made.placements
    assert made.policy == "fcfs"
    assert made.stage("a").variant == FP32
    assert placement.configuration.threads == 0
    assert placement.slots == ()
    assert placement.max_batch == 1


def test_it_is_predicted_from_a_thread_for_every_slot() -> None:
    """Three calls in turn, 12 ms each, and the wait; its points are those of its own configuration."""
    made = naive_plan(whole(*MEASURED))
    assert 36 <= made.predicted.latency_ms < 60
    assert made.predicted.dynamic_energy_per_request.joules == pytest.approx(0.9)
    (only,) = made.points
    assert only.configuration == made.placements[0].configuration
    assert only.latency.mean_ms == 12


def test_points_of_the_engines_own_threads_come_first() -> None:
    """Where that was measured, nothing has to stand in for it."""
    made = naive_plan(whole(*MEASURED, point(FP32, 0, 1, 14.0)))
    assert made.points[0].latency.mean_ms == 14


def test_beyond_its_capacity_it_says_so_and_can_be_written_down() -> None:
    """36 ms of both slots per request, 100 requests per second."""
    made = naive_plan(whole(*MEASURED, rate_rps=100))
    assert made.predicted.utilisation > 1
    assert any("overloaded" in reason for reason in made.reasons)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_a_plan_is_no_dearer() -> None:
    """The naive setting is one of what the planner chooses from, or worse."""
    planned, naive = plan(whole(*MEASURED)), naive_plan(whole(*MEASURED))
    assert (planned.predicted.dynamic_energy_per_request.joules or 0) <= (
        naive.predicted.dynamic_energy_per_request.joules or 0
    )


def test_a_reference_that_was_not_measured_is_named() -> None:
    """With what to do about it."""
    with pytest.raises(UsageError, match="stage 'a': small/onnxruntime-fp32 has no operating point"):
        naive_plan(whole(MEASURED[0]))

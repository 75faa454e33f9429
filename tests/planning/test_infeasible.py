"""When no plan is possible."""

import math

import msgspec
import pytest

from heterosis.planning import InfeasibleError, Snapshot, plan
from heterosis.terms import Slo
from heterosis.testing.snapshots import chain, point, snapshot, variant

SMALL, TINY = variant("a", accuracy=0.9), variant("a", "tiny", accuracy=0.8)


def asked(
    latency_ms: float = 1000.0,
    rate_rps: float = 1.0,
    min_accuracy: float | None = None,
    memory_bytes: int | None = None,
) -> Snapshot:
    """Return one stage: a small variant of 100 ms and a tiny one of 50 ms, on two slots."""
    points = [
        point(made, threads, 1, mean_ms / threads, joules=1.0, memory_bytes=1000)
        for made, mean_ms in ((SMALL, 100.0), (TINY, 50.0))
        for threads in (1, 2)
    ]
    slo = Slo(latency_ms=latency_ms, percentile=99, min_accuracy=min_accuracy)
    return snapshot(
        chain({"a": [1]}),
        [SMALL, TINY],
        points,
        slo=slo,
        rate_rps=rate_rps,
        memory_bytes=memory_bytes,
        reference_accuracy=0.9,
    )


def refusal(whole: Snapshot) -> InfeasibleError:
    """Return the error of planning."""
    with pytest.raises(InfeasibleError) as caught:
        plan(whole)
    return caught.value


def check_nearest(whole: Snapshot, error: InfeasibleError) -> None:
    """Every value that the error says is possible must be so, with all else kept."""
    nearest, slo = error.nearest, whole.slo
    replace = msgspec.structs.replace
    if nearest.latency_ms is not None:
        plan(replace(whole, slo=replace(slo, latency_ms=nearest.latency_ms)))
    if nearest.rate_rps is not None:
        plan(replace(whole, rate_rps=nearest.rate_rps))
    if nearest.accuracy is not None:
        plan(replace(whole, slo=replace(slo, min_accuracy=nearest.accuracy)))


def test_an_slo_below_the_fastest_option_binds_alone() -> None:
    """No other limit is at fault, and no other could help."""
    error = refusal(whole := asked(latency_ms=20))
    assert error.binding == ("latency",)
    assert "the SLO binds: on an idle fleet even the fastest options need 25.0 of 20.0 ms" in str(error)
    assert error.nearest.rate_rps is None
    assert error.nearest.latency_ms is not None
    assert error.nearest.latency_ms > 25
    check_nearest(whole, error)


def test_a_rate_beyond_capacity_binds_alone() -> None:
    """Two slots, 50 ms of work, 90 % busy at most: 36 requests per second."""
    error = refusal(whole := asked(latency_ms=10_000, rate_rps=100))
    assert error.binding == ("rate",)
    assert "capacity binds: at whatever latency, 36 of 100 requests/s can be served" in str(error)
    assert error.nearest.rate_rps == pytest.approx(36, rel=0.01)
    check_nearest(whole, error)


def test_a_floor_above_the_best_variant_binds_alone() -> None:
    """The best variants' accuracy is the nearest."""
    error = refusal(whole := asked(min_accuracy=0.95))
    assert error.binding == ("accuracy",)
    assert "the best variants reach 0.9 of 0.95" in str(error)
    assert error.nearest.accuracy == pytest.approx(0.9)
    check_nearest(whole, error)


def test_memory_below_the_smallest_option_binds_alone() -> None:
    """There is then nothing near."""
    error = refusal(asked(memory_bytes=500))
    assert error.binding == ("memory",)
    assert "memory binds" in str(error)
    assert "Loosening one limit is not enough" in str(error)


def test_limits_that_only_clash_together_are_all_named() -> None:
    """The tiny variant is fast enough, the small one accurate enough: either limit may give way."""
    error = refusal(whole := asked(latency_ms=30, min_accuracy=0.85, rate_rps=0.1))
    assert set(error.binding) == {"latency", "accuracy"}
    assert error.nearest.accuracy == pytest.approx(0.8)
    assert error.nearest.latency_ms is not None
    check_nearest(whole, error)


@pytest.mark.parametrize("latency_ms", [30.0, 60.0, 120.0])
@pytest.mark.parametrize("rate_rps", [0.1, 8.0, 30.0])
@pytest.mark.parametrize("min_accuracy", [0.8, 0.85])
def test_what_is_called_possible_is_possible(latency_ms: float, rate_rps: float, min_accuracy: float) -> None:
    """For every mix of limits that has no plan."""
    whole = asked(latency_ms, rate_rps, min_accuracy)
    try:
        plan(whole)
    except InfeasibleError as error:
        assert error.status == 400  # noqa: PT017
        check_nearest(whole, error)


def test_the_message_rounds_to_the_safe_side() -> None:
    """The latency up, the rate down: what is read off can be asked for."""
    error = refusal(asked(latency_ms=20))
    assert error.nearest.latency_ms is not None
    assert f"a latency of {math.ceil(error.nearest.latency_ms)} ms" in str(error)
    too_many = refusal(whole := asked(latency_ms=70, rate_rps=100))
    said = float(str(too_many).split("all else kept: ")[1].split(" requests/s")[0].split()[-1])
    plan(msgspec.structs.replace(whole, rate_rps=said))

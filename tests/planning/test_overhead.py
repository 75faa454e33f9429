"""What the server itself costs, in a plan."""

import msgspec
import pytest

from heterosis.planning import InfeasibleError, max_rate, plan
from heterosis.terms import Energy, Overhead, Quality, Slo
from heterosis.testing.snapshots import chain, point, snapshot, variant

SMALL = variant("read")
ASKED = snapshot(
    chain({"read": [1]}),
    [SMALL],
    [point(SMALL, 1, 1, 20.0, joules=1.0)],
    slo=Slo(latency_ms=1000, percentile=99),
    rate_rps=5.0,
)
OVERHEAD = Overhead(wall_ms=15.0, cpu_ms=10.0, cores=2, energy=Energy(0.25, Quality.MODELLED), requests=1)
SERVED = msgspec.structs.replace(ASKED, overhead=OVERHEAD)


def test_latency_energy_and_load_count_it() -> None:
    """Each request takes so much longer, and so many joules more; the plan tells the simulator."""
    bare, made = plan(ASKED), plan(SERVED)
    assert made.overhead == OVERHEAD
    assert made.predicted.utilisation == pytest.approx(bare.predicted.utilisation + 5.0 * 0.005)
    assert made.predicted.latency_ms >= bare.predicted.latency_ms + 15.0
    joules, before = (each.predicted.dynamic_energy_per_request.joules for each in (made, bare))
    assert joules is not None
    assert before is not None
    assert joules == pytest.approx(before + 0.25)


def test_less_of_the_slo_is_left() -> None:
    """What could just be planned without it cannot be with it, and the nearest that is possible says by how much."""
    alone = Slo(latency_ms=25.0, percentile=99)
    rare = {"slo": alone, "rate_rps": 0.01}
    assert plan(msgspec.structs.replace(ASKED, **rare)).placements
    with pytest.raises(InfeasibleError) as caught:
        plan(msgspec.structs.replace(SERVED, **rare))
    assert caught.value.nearest.latency_ms is not None
    assert caught.value.nearest.latency_ms > 35.0


def test_the_highest_rate_leaves_the_server_its_share_of_the_cores() -> None:
    """Each of two cores gives 10 ms to a request's call, or 20 ms to every second, and 5 ms to the server."""
    ratio = max_rate(SERVED) / max_rate(ASKED)
    assert ratio == pytest.approx(10 / 15, rel=0.1)

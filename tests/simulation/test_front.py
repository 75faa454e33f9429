"""The server's own process, in the simulator."""

import msgspec
import numpy as np
import pytest

from heterosis.simulation import Simulator, workload
from heterosis.terms import Configuration, Energy, Overhead, Plan, Quality
from heterosis.testing import graph_of, make_plan

GRAPH = graph_of([("a", ())])
OVERHEAD = Overhead(wall_ms=8.0, cpu_ms=5.0, cores=2, energy=Energy(0.5, Quality.MODELLED), requests=1)


ALONE = msgspec.structs.replace(OVERHEAD, cores=0, energy=Energy(0.0, Quality.COUNTER))


def plan_of(overhead: Overhead, slots: int = 2) -> Plan:
    """An instance of 10 ms on each slot."""
    return msgspec.structs.replace(make_plan({"a": 10.0}, slots=slots, max_batch=1), overhead=overhead)


def latencies_ms(times: list[float], overhead: Overhead, slots: int = 2) -> list[float]:
    """Of requests that arrive at these times."""
    run = Simulator(plan_of(overhead, slots), service=Exactly()).run(workload(times, GRAPH))
    return [1e3 * each for each in run.latencies_s]


class Exactly:
    """Every batch takes 10 ms."""

    def draw(self, configuration: Configuration, size: int, rng: np.random.Generator) -> float:  # noqa: ARG002
        """See `Service.draw`."""
        return 0.01


@pytest.mark.parametrize("overhead", [OVERHEAD, ALONE])
def test_a_request_alone_is_held_up_by_the_wall_time(overhead: Overhead) -> None:
    """However much CPU time is in that, and wherever that is spent."""
    assert latencies_ms([1.0, 2.0], overhead) == pytest.approx([18.0, 18.0])


def test_requests_that_come_together_wait_for_each_others_cpu_time() -> None:
    """One process does it all; what is only waited for, it does beside. Two of three find an instance idle."""
    assert latencies_ms([1.0, 1.0, 1.0], ALONE) == pytest.approx([18.0, 23.0, 28.0])


def test_without_overhead_nothing_changes() -> None:
    """Requests enter as they arrive."""
    assert latencies_ms([0.5, 0.5, 3.0], Overhead()) == pytest.approx([10.0, 10.0, 10.0])


def test_on_cores_that_are_all_busy_everybody_gets_a_part() -> None:
    """Batches run from 3 and 6 ms on; from 9 on, the third request's 3 ms of CPU take 4.5, and so each loses 1.5."""
    overhead = msgspec.structs.replace(OVERHEAD, wall_ms=3.0, cpu_ms=3.0)
    found = latencies_ms([1.0, 1.0, 1.009], overhead)
    assert found == pytest.approx([14.5, 17.5, 14.5 + 10.0 - 9.0], abs=0.11)


def test_a_batch_of_an_idle_instance_has_a_way_to_go() -> None:
    """There and back; what is sent beside it in advance is there when it ends."""
    overhead = Overhead(wall_ms=5.0, away_ms=2.0, hop_ms=2.0, requests=1)
    assert latencies_ms([1.0, 2.0], overhead) == pytest.approx([15.0, 15.0])


def test_the_servers_work_takes_no_joules_from_batches() -> None:
    """Its own are added; a batch that is held up draws no more for it."""
    arrivals = workload([0.0, 0.0, 0.0, 1.0], GRAPH)
    bare, with_front = (Simulator(plan_of(each), service=Exactly()).run(arrivals) for each in (Overhead(), OVERHEAD))
    assert with_front.joules.dynamic.joules is not None
    assert bare.joules.dynamic.joules is not None
    assert with_front.joules.dynamic.joules == pytest.approx(bare.joules.dynamic.joules + 4 * 0.5)

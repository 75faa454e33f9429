"""Calls that are ready together: over how many idle instances they are spread."""

import pytest

from heterosis.scheduling import CallReady
from heterosis.terms import Call, Plan
from heterosis.testing import Driver, make_pool, runs

CALLS = 8
SAVING = {size: 8.0 + 2 * size for size in range(1, CALLS + 1)}
"""Milliseconds of a batch, most of which is paid but once."""
LINEAR = {size: 10.0 * size for size in range(1, CALLS + 1)}


def pool(times: dict[int, float]) -> Plan:
    """Four machines that run up to eight calls at once."""
    return make_pool({f"gpu-{number}": times for number in range(4)}, max_batch=CALLS)


@pytest.mark.parametrize(
    ("times", "deadline_ms", "sizes"),
    [
        pytest.param(SAVING, 100, [8], id="a batch saves most of the time, and there is time for it"),
        pytest.param(SAVING, 20, [6, 2], id="no larger batch is in time"),
        pytest.param(LINEAR, 100, [2, 2, 2, 2], id="a batch saves nothing, so all machines take part"),
    ],
)
def test_calls_are_spread_as_far_as_that_costs_little(
    times: dict[int, float], deadline_ms: float, sizes: list[int]
) -> None:
    """And decided on once all of them are known."""
    driver = Driver(pool(times))
    driver.arrive("r", deadline=deadline_ms / 1e3)
    for number in range(CALLS):
        effects = driver(CallReady(call=Call(id=f"r/{number}", request="r", stage="a"), more=number < CALLS - 1))
        assert number == CALLS - 1 or not effects
    assert sorted((len(calls) for _, calls in runs(effects)), reverse=True) == sizes

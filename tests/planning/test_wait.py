"""The queueing model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.planning.wait import HIGHEST, utilisation_grid, wait_factor, work_variation
from heterosis.testing.snapshots import chain


def test_exponential_service_waits_as_in_the_textbook() -> None:
    """With exponential service (v = 1) the factor is the M/M/1 quantile: ln(rho / (1 - q)) / (1 - rho)."""
    assert wait_factor(0.5, 99, 1.0) == pytest.approx(math.log(50) / 0.5)


@pytest.mark.parametrize(("rho", "variation"), [(0.3, 0.0), (0.7, 0.0), (0.7, 1.0)])
def test_the_model_is_near_a_simulated_queue_and_not_far_below(rho: float, variation: float) -> None:
    """Against the 99th percentile of 400,000 simulated waits (Lindley's recursion): hardly below, a third above."""
    random = np.random.default_rng(0)
    service = np.ones(400_000) if variation == 0 else random.exponential(1, 400_000)
    step = service[:-1] - random.exponential(1 / rho, 399_999)
    total = np.concatenate([[0.0], np.cumsum(step)])
    waits = total - np.minimum.accumulate(total)
    assert 0.95 < wait_factor(rho, 99, variation) / np.quantile(waits, 0.99) < 1.33


def test_nobody_within_the_percentile_waits_at_little_load() -> None:
    """At a utilisation of 1 - q the request at the percentile finds a free slot."""
    assert wait_factor(0.01, 99, 1.0) == 0
    assert wait_factor(0.05, 95, 1.0) == pytest.approx(0)


def test_a_full_slot_is_waited_for_without_end() -> None:
    """At a utilisation of 1 there is no bound."""
    assert wait_factor(1.0, 99, 0.0) == math.inf


@given(st.floats(50, 99.9), st.floats(0, 4))
def test_more_load_means_more_waiting(percentile: float, variation: float) -> None:
    """Along the grid, up to its end, the factor grows from 0."""
    grid = utilisation_grid(percentile)
    factors = [wait_factor(rho, percentile, variation) for rho in grid]
    assert factors[0] == pytest.approx(0, abs=1e-9)
    assert factors == sorted(factors)
    assert grid[-1] == HIGHEST


def test_the_variation_of_work_is_that_of_the_fan_out() -> None:
    """One call and three calls, as often: mean 2, variance 1."""
    assert work_variation(chain({"a": [1, 3]})) == pytest.approx(1 / 4)
    assert work_variation(chain({"a": [2, 2]})) == 0


def test_stages_weigh_what_they_take() -> None:
    """A stage that takes a tenth of the time adds a tenth of its variation, squared."""
    graph = chain({"a": [1, 1], "b": [1, 3]})
    weighed = type(graph)(
        pipeline="test", stages=graph.stages, requests=graph.requests, time_share={"a": 0.9, "b": 0.1}
    )
    assert work_variation(weighed) == pytest.approx(0.1**2 / 4)

"""Distributions of sizes."""

import numpy as np
import pytest

from heterosis.simulation import RequestClass, single_call, workload
from heterosis.simulation.sizes import Empirical, Fixed, LogNormal, Uniform
from heterosis.simulation.workload import Sizes


def drawn(sizes: Sizes, count: int = 20_000) -> np.ndarray:
    """Draw sizes with a seed."""
    return np.array(sizes.draw(np.random.default_rng(7), count))


def test_fixed() -> None:
    """One size."""
    assert set(drawn(Fixed(3))) == {3}


def test_uniform_includes_both_ends() -> None:
    """Each size as often as the others."""
    counts = np.bincount(drawn(Uniform(2, 5)))
    assert counts.tolist()[:2] == [0, 0]
    assert counts[2:] == pytest.approx(5000, rel=0.06)


def test_lognormal_has_its_median_and_stays_within_bounds() -> None:
    """The median is exp(mu); nothing lies outside the bounds."""
    sizes = drawn(LogNormal(5.1, 0.2, least=150, most=200))
    assert np.median(sizes) == pytest.approx(np.exp(5.1), rel=0.02)
    assert (sizes.min(), sizes.max()) == (150, 200)
    assert drawn(LogNormal(0.0, 2.0)).min() == 1


def test_empirical_repeats_what_was_seen() -> None:
    """Sizes come as often as they were observed."""
    counts = np.bincount(drawn(Empirical((1, 1, 4))))
    assert counts[1] / counts[4] == pytest.approx(2, rel=0.06)


def test_a_workload_gives_each_class_its_sizes() -> None:
    """Requests of each class have sizes of its distribution."""
    shape = (single_call("a"),)
    classes = (RequestClass(shape, "small", sizes=Fixed(2)), RequestClass(shape, "large", sizes=Uniform(10, 20)))
    arrivals = workload(range(500), classes)
    assert {arrival.size for arrival in arrivals if arrival.request_class == "small"} == {2}
    assert {arrival.size for arrival in arrivals if arrival.request_class == "large"} == set(range(10, 21))

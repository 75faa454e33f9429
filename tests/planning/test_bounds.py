"""Bounds on what any policy can do."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.bounds import OfflineCall, OfflineSchedule, least_violations, throughput_bound


def test_one_type_serves_at_most_the_inverse_of_its_mean_time_but_for_the_violations() -> None:
    """With one class of 0.1 s on three machines, 30/s are served in time, and one in a hundred given up."""
    bound = throughput_bound([1.0], [[0.1]], [3], 1.0, violations=0.01)
    assert bound.per_s == pytest.approx(30 / 0.99)
    assert bound.time_prices[0] == pytest.approx(10 / 0.99)


def test_the_slow_type_serves_only_what_it_can_in_time() -> None:
    """Half of the requests fit the slow type, which cannot serve the rest: the fast one carries that alone."""
    bound = throughput_bound([0.5, 0.5], [[0.1, 0.2], [0.3, 0.9]], [1, 100], 0.5, violations=0.0)
    assert bound.per_s == pytest.approx(1 / (0.5 * 0.2))
    assert bound.time_prices[1] == pytest.approx(0)


def test_what_runs_too_long_by_chance_counts_as_late() -> None:
    """Four runs in five are in time, and one request in five may be late: all are served. With none late, none is."""
    half = throughput_bound([1.0], [[0.1]], [1], 0.1, violations=0.2, chances=[[0.8]])
    assert half.per_s == pytest.approx(10)
    assert throughput_bound([1.0], [[0.1]], [1], 0.1, violations=0.0, chances=[[0.8]]).per_s == pytest.approx(0)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_prices_explain_the_bound(seed: int) -> None:
    """The machines' prices add up to the rate, and no class costs more than its time on any type that serves it."""
    rng = np.random.default_rng(seed)
    shares, run_s = rng.dirichlet(np.ones(5)), rng.uniform(0.01, 0.2, (3, 5))
    counts, limit_s = rng.integers(1, 5, 3), 0.15
    bound = throughput_bound(shares.tolist(), run_s.tolist(), counts.tolist(), limit_s)
    assert counts @ bound.time_prices == pytest.approx(bound.per_s)
    costs = np.array(bound.time_prices)[:, None] * run_s
    costs[run_s > limit_s] = np.inf
    assert np.all(np.array(bound.class_prices) <= costs.min(axis=0) + 1e-9)
    assert np.all(np.array(bound.times).sum(axis=1) <= counts + 1e-9)


def most_in_time(calls: list[OfflineCall]) -> int:
    """The most calls in time, by trying all: every division among instances, and every order on each."""
    instances = range(len(calls[0].run_s))

    def fits(chosen: tuple[int, ...], instance: int) -> bool:
        for order in permutations(chosen):
            now = 0.0
            for number in order:
                now = max(now, calls[number].arrival) + calls[number].run_s[instance]
                if now > calls[number].deadline + 1e-9:
                    break
            else:
                return True
        return False

    best = 0
    for where in product((None, *instances), repeat=len(calls)):
        count = len(calls) - where.count(None)
        if count > best and all(fits(tuple(n for n, at in enumerate(where) if at == i), i) for i in instances):
            best = count
    return best


def check(calls: list[OfflineCall], schedule: OfflineSchedule) -> None:
    """Assert that a schedule could be run: in time, and one call at a time on each instance."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for call, run in zip(calls, schedule.runs, strict=True):
        if run is not None:
            instance, start = run
            end = start + call.run_s[instance]
            assert start >= call.arrival - 1e-6
            assert end <= call.deadline + 1e-6
            spans.setdefault(instance, []).append((start, end))
    for each in spans.values():
        each.sort()
        assert all(one[1] <= other[0] + 1e-6 for one, other in pairwise(each))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_clairvoyant_optimum_is_that_of_trying_everything(seed: int) -> None:
    """On five calls and two unlike instances, as few violations as by brute force, by a schedule that can be run."""
    rng = np.random.default_rng(seed)
    calls = []
    for _ in range(5):
        arrival, run_s = int(rng.integers(0, 8)), rng.integers(1, 7, 2).tolist()
        calls.append(OfflineCall(arrival=arrival, deadline=arrival + int(rng.integers(2, 10)), run_s=tuple(run_s)))
    schedule = least_violations(calls)
    check(calls, schedule)
    assert schedule.violations == len(calls) - most_in_time(calls)


def test_six_calls_on_one_instance_leave_out_the_long_one() -> None:
    """One long call would make five short ones late: it is the one that is left out."""
    short = [OfflineCall(arrival=0.1 * n, deadline=0.1 * n + 0.15, run_s=(0.1,)) for n in range(5)]
    schedule = least_violations([OfflineCall(arrival=0.0, deadline=1.0, run_s=(0.9,)), *short])
    assert schedule.violations == 1
    assert schedule.runs[0] is None


def test_nothing_to_run_violates_nothing() -> None:
    """Without calls the schedule is empty."""
    assert least_violations([]).violations == 0

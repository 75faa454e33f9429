"""KAIROS' setting: the fewest large queries that anybody can lose."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.studies.kairos.clairvoyant import fewest_late, least_lost
from heterosis.studies.kairos.load import at_load

LIMIT_S = 10.0
jobs = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=9).map(sorted)


def by_brute_force(released: list[int], run_s: list[int]) -> int:
    """The fewest late jobs, of all subsets: in the order of their dates, since release and due dates agree."""
    for late in range(len(released) + 1):
        for given_up in combinations(range(len(released)), late):
            end = 0
            for number, (begin, run) in enumerate(zip(released, run_s, strict=True)):
                if number in given_up:
                    continue
                end = max(end, begin) + run
                if end > begin + LIMIT_S:
                    break
            else:
                return late
    return len(released)


@settings(max_examples=60, deadline=None)
@given(jobs)
def test_it_is_the_optimum(drawn: list[tuple[int, int]]) -> None:
    """As many are late as in the best of all subsets."""
    released, run_s = [begin for begin, _ in drawn], [run for _, run in drawn]
    assert fewest_late(released, run_s, LIMIT_S) == by_brute_force(released, run_s)


def test_the_one_to_give_up_need_not_be_the_longest() -> None:
    """Without the longest, which came late, the machine would have to wait for what comes after it."""
    assert fewest_late([0, 8, 9], [9, 6, 7], 10) == 1
    assert fewest_late([0, 1, 2], [3, 3, 3], 10) == 0
    assert fewest_late([0], [11], 10) == 1


@pytest.mark.parametrize(("model", "qps"), [("rm2", 150.0), ("ncf", 7000.0)])
def test_our_policy_loses_no_fewer(model: str, qps: float) -> None:
    """Of the same queries, beyond what is allowed."""
    least = least_lost(model, qps, requests=1000)
    lost = at_load(model, "heterosis:without_splitting", qps, requests=1000).largest_decile_violations
    assert least is not None
    assert 0 < least < lost


def test_several_base_machines_are_no_solvable_case() -> None:
    """There the bound is left out."""
    assert least_lost("dien", 600.0, requests=100) is None

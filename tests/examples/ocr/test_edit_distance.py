"""Edit distance."""

import functools

import pytest
from edit_distance import edit_distance
from hypothesis import given
from hypothesis import strategies as st

words = st.text(alphabet="abcé", max_size=8)


def by_definition(first: str, second: str) -> int:
    """The recurrence itself."""

    @functools.cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, replaced)

    return distance(len(first), len(second))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("flaw", "lawn", 2), ("naïve", "naive", 1)],
)
def test_known_distances(first: str, second: str, distance: int) -> None:
    """Well-known pairs have their well-known distances."""
    assert edit_distance(first, second) == distance


@given(words, words)
def test_equals_the_recurrence(first: str, second: str) -> None:
    """The table gives what the recursive definition gives."""
    assert edit_distance(first, second) == by_definition(first, second)


@given(words, words, words)
def test_is_a_metric(first: str, second: str, third: str) -> None:
    """It is zero for equal texts only, symmetric, and no detour is shorter."""
    assert (edit_distance(first, second) == 0) == (first == second)
    assert edit_distance(first, second) == edit_distance(second, first)
    assert edit_distance(first, third) <= edit_distance(first, second) + edit_distance(second, third)

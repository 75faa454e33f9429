"""Measures of found things."""

import pytest

import heterosis as hs

LEFT, RIGHT, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (90, 90, 99, 99)


def test_what_was_missed_counts() -> None:
    """A detector that finds less, but nothing wrong, has full precision and less recall; and the other way round."""
    assert hs.scores.detection([LEFT], [LEFT, RIGHT]) == {"recall": 0.5, "precision": 1.0, "f1": pytest.approx(2 / 3)}
    assert hs.scores.detection([LEFT, FAR], [LEFT]) == {"recall": 1.0, "precision": 0.5, "f1": pytest.approx(2 / 3)}
    assert hs.scores.detection([], [LEFT])["recall"] == 0


def test_each_thing_matches_one_at_most() -> None:
    """Finding one thing twice is one hit; the most similar pair comes first."""
    shifted = (2, 0, 12, 10)
    assert hs.scores.detection([LEFT, shifted], [LEFT])["precision"] == 0.5
    assert hs.scores.detection([shifted, LEFT], [LEFT, (4, 0, 14, 10)])["recall"] == 1.0


def test_nothing_where_nothing_was_wanted_is_perfect() -> None:
    """An empty page read as empty."""
    assert hs.scores.detection([], []) == {"recall": 1.0, "precision": 1.0, "f1": 1.0}


def test_other_things_than_boxes_bring_their_similarity() -> None:
    """Notes, for example: alike in pitch, and near in time."""
    near = lambda a, b: float(a[0] == b[0] and abs(a[1] - b[1]) <= 0.05)  # noqa: E731
    notes = [(60, 0.0), (64, 1.0)]
    assert hs.scores.detection([(60, 0.04), (65, 1.0)], notes, near)["f1"] == 0.5

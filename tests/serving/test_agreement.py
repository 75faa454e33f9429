"""When two answers are the same."""

import numpy as np

from heterosis.serving.agreement import same_answer

SAME = [
    (np.array([[0.1, 0.9]]), np.array([[0.4, 0.6]])),
    (np.array([[1.0]]), np.array([[1.01]])),
    (np.array([1, 2]), np.array([1, 2])),
    (np.array([b"a"], object), np.array([b"a"], object)),
]
OTHER = [
    (np.array([[0.9, 0.1]]), np.array([[0.4, 0.6]])),
    (np.array([[1.0]]), np.array([[1.2]])),
    (np.array([1, 2]), np.array([1, 3])),
    (np.array([1.0, 2.0]), np.array([1.0])),
    (np.array([1.0]), np.array([1])),
]


def test_answers_are_compared_by_what_they_are() -> None:
    """Scores by the highest, numbers by how far they are apart, the rest by whether it is equal."""
    assert all(same_answer({"y": array}, {"y": reference}) for array, reference in SAME)
    assert not any(same_answer({"y": array}, {"y": reference}) for array, reference in OTHER)


def test_other_outputs_are_another_answer() -> None:
    """Whatever they hold."""
    assert not same_answer({"y": np.zeros(1)}, {"z": np.zeros(1)})

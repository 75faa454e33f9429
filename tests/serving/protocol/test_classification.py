"""Classification: the largest elements as text."""

import numpy as np
import pytest

from heterosis.serving.protocol.classification import classified
from heterosis.terms.errors import InvalidInputError


def test_the_largest_come_first_for_each_item() -> None:
    """Ties go to the lower index; no more than there are."""
    scores = np.array([[0.5, 2.5, 0.5], [3, 1, 2]], np.float32)
    assert classified("y", scores, 2).tolist() == [
        [b"2.500000:1", b"0.500000:0"],
        [b"3.000000:0", b"2.000000:2"],
    ]
    assert classified("y", scores[0], 9).tolist() == [b"2.500000:1", b"0.500000:0", b"0.500000:2"]


def test_text_has_no_largest_element() -> None:
    """It is refused."""
    with pytest.raises(InvalidInputError, match="cannot be classified"):
        classified("y", np.array([b"a"], dtype=object), 1)

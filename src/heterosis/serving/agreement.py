"""Whether two answers to one request are the same, as far as those who asked for them care."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CLOSE = 0.05
"""How far numbers that are no scores of classes may be apart, relative to the largest."""


def same_answer(outputs: Mapping[str, Array], reference: Mapping[str, Array]) -> bool:
    """Whether all outputs are the same.

    Floating-point outputs with a last axis are taken for scores, and are the same where the highest is in the same
    place; single ones where they are close; everything else, text and whole numbers, only where it is equal.
    """
    return outputs.keys() == reference.keys() and all(_same(array, reference[name]) for name, array in outputs.items())


def _same(array: Array, reference: Array) -> bool:
    if array.shape != reference.shape or array.dtype.kind != reference.dtype.kind:
        return False
    if array.dtype.kind != "f":
        return bool(np.array_equal(array, reference))
    if array.ndim and array.shape[-1] > 1:
        return bool(np.array_equal(array.argmax(axis=-1), reference.argmax(axis=-1)))
    largest = float(np.abs(reference).max(initial=0.0))
    return bool(np.allclose(array, reference, rtol=0.0, atol=CLOSE * largest))

"""Measures of answers that are sets of found things: what was missed counts, and not only what was wrongly found.

Sources: precision, recall and F1 as van Rijsbergen defines them (Information Retrieval, 1979); boxes match from an
intersection over union of 0.5 on, as in PASCAL VOC (Everingham et al., IJCV 2010).
"""

from collections.abc import Callable, Sequence
from typing import Any

SAME_BOX = 0.5


def detection(
    found: Sequence[Any],
    wanted: Sequence[Any],
    similarity: Callable[[Any, Any], float] | None = None,
    same: float = SAME_BOX,
) -> dict[str, float]:
    """Return ``recall`` (the share found of what was wanted), ``precision`` (wanted of what was found) and ``f1``.

    Things are matched one to one, the most similar first, down to a similarity of ``same``. By default they are boxes:
    left, top, right, bottom. Nothing found where nothing was wanted is perfect.
    """
    alike = similarity or overlap
    pairs = [(alike(a, b), i, j) for i, a in enumerate(found) for j, b in enumerate(wanted)]
    pairs.sort(key=lambda pair: -pair[0])
    left, right = set[int](), set[int]()
    for value, i, j in pairs:
        if value >= same and i not in left and j not in right:
            left.add(i)
            right.add(j)
    hits = len(left)
    return {
        "recall": hits / len(wanted) if wanted else 1.0,
        "precision": hits / len(found) if found else 1.0,
        "f1": 2 * hits / (len(found) + len(wanted)) if found or wanted else 1.0,
    }


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the intersection over union of two boxes: left, top, right, bottom."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(width * height / (sum(areas) - width * height))

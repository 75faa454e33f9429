"""The classification extension: of an output, the largest elements, each as text ``value:index``.

Source: triton-inference-server/server, docs/protocol/extension_classification.md.
"""

import numpy as np

from heterosis.serving.protocol.tensors import Array
from heterosis.terms.errors import InvalidInputError


def classified(name: str, array: Array, classes: int) -> Array:
    """Return the ``classes`` largest elements of each item, largest first; of an array of one axis, of the whole."""
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"output {name!r} holds no numbers; it cannot be classified")
    items = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), -1)  # noqa: PLR2004
    best = np.argsort(-items.astype(np.float64), axis=1, kind="stable")[:, :classes]
    found = np.empty(best.shape, dtype=object)
    for item, position in np.ndindex(*best.shape):
        index = best[item, position]
        found[item, position] = f"{items[item, index]:f}:{index}".encode()
    return found[0] if array.ndim < 2 else found  # noqa: PLR2004

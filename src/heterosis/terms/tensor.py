"""The shape of data at an edge: of a model, or of a pipeline."""

import msgspec

DYNAMIC = -1


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One tensor. ``dtype`` is numpy's name for it, or ``bytes``; a dimension of -1 is of any length."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of this shape fits."""
        return shape == self.shape or (
            len(shape) == len(self.shape)
            and all(want in (DYNAMIC, got) for want, got in zip(self.shape, shape, strict=True))
        )

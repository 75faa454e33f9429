"""Runs batches of a plain model: calls that are whole tensors, joined along their first axis where the model bears it.

A first axis of any length need not be one of independent items: it may be the steps of a sequence, say. So the first
batch of several calls is run both ways, and they are joined from then on only if that gave the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from heterosis.engines.engine import Session
from heterosis.pipeline.runner import Args, StageRunner
from heterosis.pipeline.stage import Stage
from heterosis.terms import DYNAMIC
from heterosis.terms.errors import StageError

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]

RTOL, ATOL_SHARE = 1e-2, 1e-3
"""How far results may differ, since kernels differ with the batch: relative, and as a share of the largest."""


class TensorRunner(StageRunner):
    """A session of a plain model."""

    runs_no_code = True

    def __init__(self, stage: Stage, model: str, session: Session | None = None) -> None:
        """Know nothing yet of whether calls can be joined, but where a first axis is fixed."""
        super().__init__(stage, model, session)
        assert session is not None  # noqa: S101 - a plain model is run by an engine
        specs = (*session.inputs, *session.outputs)
        self.joins: bool | None = None if all(spec.shape and spec.shape[0] == DYNAMIC for spec in specs) else False
        """Whether calls may be joined; None while that has not been tried."""
        self._engine = session.run

    def run(self, batch: Sequence[Args]) -> list[Any]:
        """Run one batch of calls; see `StageRunner.run`."""
        if len(batch) == 1:
            try:
                return [self._engine(*batch[0])]
            except Exception as error:  # noqa: BLE001 - as of any other step
                return [self._failure(error)]
        if self.joins is False or not _alike([args[0] for args in batch]):
            return [self._guarded(self._engine, *args) for args in batch]
        joined = self._guarded(self._joined, [args[0] for args in batch])
        if self.joins:
            # One call's contents may fail all of them: only on its own is it seen which.
            return joined if not isinstance(joined, StageError) else [self._guarded(self._engine, *a) for a in batch]
        apart = [self._guarded(self._engine, *args) for args in batch]
        if not any(isinstance(result, StageError) for result in apart):
            self.joins = not isinstance(joined, StageError) and all(map(_same, joined, apart))
        return apart

    def _joined(self, calls: Sequence[Tensors]) -> list[dict[str, Array]]:
        rows = [len(next(iter(call.values()))) for call in calls]
        outputs = self._engine({name: np.concatenate([call[name] for call in calls]) for name in calls[0]})
        ends = np.cumsum(rows)
        for name, array in outputs.items():
            if len(array) != ends[-1]:
                raise StageError(f"output {name!r} has {len(array)} rows for {ends[-1]} rows of input")
        return [
            {name: array[end - count : end] for name, array in outputs.items()}
            for end, count in zip(ends.tolist(), rows, strict=True)
        ]


def _alike(calls: Sequence[Tensors]) -> bool:
    """Whether calls have the same tensors but for their rows, of which every tensor of a call has the same number."""
    shapes = [{name: array.shape[1:] for name, array in call.items()} for call in calls]
    return all(each == shapes[0] for each in shapes) and all(
        len({len(array) for array in call.values()}) == 1 for call in calls
    )


def _same(result: Tensors, other: Tensors) -> bool:
    return all(_close(result[name], array) for name, array in other.items())


def _close(array: Array, other: Array) -> bool:
    if array.shape != other.shape:
        return False
    if array.dtype.kind not in "fc":
        return bool(np.array_equal(array, other))
    return bool(np.allclose(array, other, RTOL, ATOL_SHARE * float(np.max(np.abs(other), initial=0.0)), equal_nan=True))

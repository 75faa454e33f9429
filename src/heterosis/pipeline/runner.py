"""Runs batches of one stage on one session: the same code in a worker, in the profiler and in direct calls."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from heterosis.engines.engine import Session
from heterosis.pipeline.stage import Stage
from heterosis.terms.errors import StageError

Args = tuple[Any, ...]
Item = Mapping[str, np.ndarray[Any, Any]]


class StageRunner:
    """A stage with a session of one of its models; without a session for a stage that has no models."""

    runs_no_code = False
    """Whether nobody's code but the engine's sees the arguments of calls: then nothing can come to them."""

    def __init__(self, stage: Stage, model: str, session: Session | None = None) -> None:
        """Construct the stage's class and let it set itself up for the model."""
        self.stage = stage
        self.session = session
        self.hooks = stage.implementation()
        self._collate: Callable[[Sequence[Item]], Item] | None = getattr(self.hooks, "collate", None)
        self.engine_seconds = 0.0
        """Time spent inside the engine so far, to tell it from the hooks."""
        setup = getattr(self.hooks, "setup", None)
        if setup is not None:
            setup(model)

    def run(self, batch: Sequence[Args]) -> list[Any]:
        """Run one batch of calls. A call that fails stands in the result as a StageError; the others are unharmed."""
        if self.session is None:
            return [self._guarded(self.hooks.run, *args) for args in batch]
        items = [self._guarded(self._prepare, *args) for args in batch]
        results: list[Any] = list(items)
        for group in self._groups(items):
            outputs = self._guarded(self._infer, [items[position] for position in group])
            for row, position in enumerate(group):
                if isinstance(outputs, StageError):
                    results[position] = outputs
                else:
                    results[position] = self._guarded(self._finish, outputs, row, batch[position])
        return results

    def close(self) -> None:
        """Give the session's memory back."""
        if self.session is not None:
            self.session.close()

    def _guarded(self, step: Callable[..., Any], *args: Any) -> Any:
        try:
            return step(*args)
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises belongs to this call alone
            return self._failure(error)

    def _failure(self, error: Exception) -> StageError:
        failure = StageError(f"stage {self.stage.name!r} failed: {type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure

    def _prepare(self, *args: Any) -> Item:
        assert self.session is not None  # noqa: S101
        made = self.hooks.before(*args)
        if isinstance(made, Mapping):
            return made
        return {self.session.inputs[0].name: np.asarray(made)}

    def _groups(self, items: Sequence[Any]) -> list[list[int]]:
        """Positions of the items that can share a run of the engine."""
        assert self.session is not None  # noqa: S101
        sound = [position for position, item in enumerate(items) if not isinstance(item, StageError)]
        if not sound:
            return []
        if any(spec.shape and spec.shape[0] == 1 for spec in self.session.inputs):
            return [[position] for position in sound]  # the model's own batch axis is fixed at one
        if self._collate is not None:
            return [sound]
        alike: dict[object, list[int]] = defaultdict(list)
        for position in sound:
            alike[tuple(sorted((name, array.shape) for name, array in items[position].items()))].append(position)
        return list(alike.values())

    def _infer(self, items: Sequence[Item]) -> dict[str, np.ndarray[Any, Any]]:
        assert self.session is not None  # noqa: S101
        if self._collate is not None:
            batched = self._collate(items)
        elif len(items) == 1:
            batched = {name: np.asarray(array)[np.newaxis] for name, array in items[0].items()}
        else:
            batched = {name: np.stack([item[name] for item in items]) for name in items[0]}
        started = time.perf_counter()
        outputs = self.session.run(batched)
        self.engine_seconds += time.perf_counter() - started
        for name, array in outputs.items():
            if array.ndim == 0 or array.shape[0] != len(items):
                raise StageError(f"output {name!r} has shape {array.shape} for a batch of {len(items)} items")
        return outputs

    def _finish(self, outputs: Mapping[str, np.ndarray[Any, Any]], row: int, args: Args) -> Any:
        if len(outputs) == 1:
            return self.hooks.after(next(iter(outputs.values()))[row], *args)
        return self.hooks.after({name: array[row] for name, array in outputs.items()}, *args)

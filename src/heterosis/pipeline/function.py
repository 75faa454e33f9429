"""Pipelines: ordinary async functions over stages."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

import msgspec

from heterosis.pipeline.signature import Signature
from heterosis.pipeline.stage import Stage
from heterosis.terms import Slo
from heterosis.terms.errors import UsageError

Score = Callable[[Any, Any], float]
Function = Callable[..., Awaitable[Any]] | Callable[..., AsyncIterator[Any]]
"""An async function that returns its result, or yields one after the other."""


class Sample(msgspec.Struct, frozen=True):
    """One example request: the pipeline's arguments by name, and the right answer where it is known.

    An argument annotated `Image` may be an array, the bytes of an encoded image, or the path of one.
    """

    inputs: Mapping[str, Any]
    truth: Any = None


class Pipeline:
    """An async function over stages, with its SLO, its samples, and how its answers are judged."""

    def __init__(self, function: Function, slo: Slo, stages: Sequence[Stage] = ()) -> None:
        """Read the function's signature and, unless they are given, find the stages that it names."""
        self.generator: Callable[..., AsyncIterator[Any]] | None = None
        """The function itself, where it yields: a request then has any number of results, each sent as it comes."""
        if inspect.isasyncgenfunction(function):
            self.generator, function = function, _collecting(function)
        if not inspect.iscoroutinefunction(function):
            raise UsageError(f"pipeline {function.__name__!r} must be an `async def` function")
        functools.update_wrapper(self, function)
        self.function = function
        """Returns the result; of a function that yields, all results as a list."""
        self.direct: Stage | None = None
        """The stage that is all there is to it: it is called with the values, and gives the result."""
        self.slo = slo
        self.name: str = function.__name__
        self.stages = tuple(stages) or _stages_named_in(self.generator or function)
        self._samples: Callable[[], Iterable[Sample]] | None = None
        self._score: Score | None = None

    @functools.cached_property
    def signature(self) -> Signature:
        """The pipeline's inputs and output as its clients see them, from annotations and samples."""
        return Signature.of(self.generator or self.function, [sample.inputs for sample in self.load_samples()])

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the pipeline once; outside a server its stages run in this process."""
        return await self.function(*args, **kwargs)

    def size(self, values: Mapping[str, Any]) -> int:  # noqa: ARG002 - a pipeline of another kind looks at them
        """How many items a request with these inputs has."""
        return 1

    @property
    def batched(self) -> bool:
        """Whether the first axis of its tensors is one of independent items."""
        return False

    def divisible(self, values: Mapping[str, Any]) -> bool:  # noqa: ARG002 - likewise
        """Whether the items of a request with these inputs may run apart."""
        return False

    def samples(self, source: Callable[[], Iterable[Sample]]) -> Callable[[], Iterable[Sample]]:
        """Decorate the function that yields the samples."""
        self._samples = source
        return source

    def accuracy(self, score: Score) -> Score:
        """Decorate the function ``(result, truth) -> 0..1`` that judges one answer."""
        self._score = score
        return score

    @functools.cached_property
    def _loaded_samples(self) -> tuple[Sample, ...]:
        return tuple(self._samples()) if self._samples else ()

    def load_samples(self) -> tuple[Sample, ...]:
        """Make the samples, once."""
        return self._loaded_samples

    def score(self, result: Any, truth: Any) -> float:
        """Judge one answer against the truth, 0..1; equality where the pipeline does not say how."""
        if self._score is None:
            return float(_same(result, truth))
        value = float(self._score(result, truth))
        if not 0 <= value <= 1:
            raise UsageError(f"the accuracy function of pipeline {self.name!r} returned {value}; it must be in 0..1")
        return value

    def __repr__(self) -> str:
        """Name the pipeline and its stages."""
        return f"<pipeline {self.name}: {', '.join(stage.name for stage in self.stages)}>"


def _collecting(generator: Callable[..., AsyncIterator[Any]]) -> Callable[..., Awaitable[list[Any]]]:
    @functools.wraps(generator)
    async def collect(*args: Any, **kwargs: Any) -> list[Any]:
        return [each async for each in generator(*args, **kwargs)]

    return collect


def pipeline(*, slo: Slo) -> Callable[[Function], Pipeline]:
    """Make a pipeline of an async function over stages."""
    return lambda function: Pipeline(function, slo)


def _same(result: Any, truth: Any) -> bool:
    import numpy as np

    if isinstance(result, Mapping) and isinstance(truth, Mapping):
        return result.keys() == truth.keys() and all(_same(result[key], truth[key]) for key in truth)
    if isinstance(result, np.ndarray) or isinstance(truth, np.ndarray):
        result, truth = np.asarray(result), np.asarray(truth)
        if truth.dtype == object:
            return bool(np.array_equal(result, truth))
        return result.shape == truth.shape and bool(np.allclose(result, truth, rtol=1e-2, atol=1e-3))
    return bool(result == truth)


def _stages_named_in(function: Callable[..., Any]) -> tuple[Stage, ...]:
    """Find the stages that a function names, itself or through helper functions, in order of first mention."""
    found: dict[str, Stage] = {}
    seen: set[object] = set()

    def look(function: Callable[..., Any]) -> None:
        if function in seen or not isinstance(function, FunctionType):
            return
        seen.add(function)
        scope = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
        for name in _names(function.__code__):
            value = scope.get(name)
            if isinstance(value, Stage):
                known = found.setdefault(value.name, value)
                if known is not value:
                    raise UsageError(f"two stages are named {value.name!r}: rename one of the classes")
            elif isinstance(value, Pipeline):
                look(value.function)
            elif inspect.iscoroutinefunction(value):
                look(value)

    look(function)
    if not found:
        raise UsageError(f"pipeline {function.__name__!r} calls no stage; make one with heterosis.stage(Class)")
    return tuple(found.values())


def _names(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

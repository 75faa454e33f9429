"""Direct calls: stages run in this process, one call at a time, without a server."""

import functools
import time
from collections.abc import Mapping
from typing import Any

from heterosis.pipeline.calls import frontier
from heterosis.pipeline.runner import Args, StageRunner
from heterosis.pipeline.stage import FUNCTION, Stage
from heterosis.terms import TracedCall
from heterosis.terms.errors import StageError


class LocalCaller:
    """Runs calls where they are made, on a runner for each stage, and records them.

    ``runners`` maps stage names to runners; a stage without one gets its reference model as it is. ``calls``,
    ``inputs`` and ``seconds`` hold, for each call made, its place in the request's graph, its arguments and its time.
    """

    def __init__(self, runners: Mapping[str, StageRunner] | None = None) -> None:
        """Start with these runners; others are made when first needed."""
        self.runners = dict(runners or {})
        self._own: dict[Stage, StageRunner] = {}
        self.forget()

    def forget(self) -> None:
        """Drop what was recorded, for the next request."""
        self.calls: list[TracedCall] = []
        self.inputs: list[Args] = []
        self.seconds: list[float] = []

    async def call(self, stage: Stage, args: Args) -> Any:
        """Run one call here and now."""
        runner = self.runners.get(stage.name) or self._own.get(stage)
        if runner is None:
            runner = self._own[stage] = reference_runner(stage)
        position = len(self.calls)
        self.calls.append(TracedCall(stage=stage.name, parents=frontier.get()))
        self.inputs.append(args)
        started = time.perf_counter()
        (result,) = runner.run([args])
        self.seconds.append(time.perf_counter() - started)
        frontier.set((position,))
        if isinstance(result, StageError):
            raise result
        return result

    def close(self) -> None:
        """Close every runner."""
        for runner in (*self.runners.values(), *self._own.values()):
            runner.close()


def reference_runner(stage: Stage, threads: int = 0) -> StageRunner:
    """A runner of a stage's reference model as it is."""
    if not stage.models:
        return stage.runner(FUNCTION)
    from heterosis.engines import engine_of

    model = next(iter(stage.models))
    artifact = stage.artifact(model)
    return stage.runner(model, engine_of(artifact).load(artifact, threads))


@functools.cache
def default_caller() -> LocalCaller:
    """The caller of a pipeline function that is awaited outside any server; it keeps its sessions."""
    return _ForgetfulCaller()


class _ForgetfulCaller(LocalCaller):
    """Does not keep the arguments of a long-lived process' every call."""

    async def call(self, stage: Stage, args: Args) -> Any:
        try:
            return await super().call(stage, args)
        finally:
            self.forget()

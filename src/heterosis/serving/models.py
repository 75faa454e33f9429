"""Models as clients know them: a name and a version, behind which a pipeline is served."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec
import structlog

from heterosis.pipeline import Pipeline, Signature, Stage, calls_run_by
from heterosis.serving.direct import PATIENCE_S, DirectRequest, out_of_time
from heterosis.serving.hosting import Hosted, VariantFor, WarmUp
from heterosis.serving.router import Result, Router
from heterosis.serving.statistics import Statistics
from heterosis.serving.values import Buffer, DecodeError, EncodeError, decode, encode
from heterosis.terms import DEFAULT_CLASS, Call, Plan, Request, Slo
from heterosis.terms.errors import DeadlineError, HeterosisError, RefusedError, StageError, UnavailableError
from heterosis.terms.joining import qualified, qualified_name

log = structlog.get_logger()


_SERIALS = itertools.count()


class State(StrEnum):
    """Whether a model can be used; the names are those of Triton's repository extension."""

    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


class Servable(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline, and how it shall be served."""

    pipeline: Pipeline
    target: str
    """Where workers load it from."""
    plan: Plan
    """Of this pipeline alone."""
    warm_up: WarmUp
    platform: str = "heterosis"
    variant_for: VariantFor | None = None
    """What the worker of a placement loads, where that is not the plan's variant as it is."""

    def with_batches(self, max_batch: int) -> "Servable":
        """Return the same with another largest batch."""
        placements = (msgspec.structs.replace(each, max_batch=max_batch) for each in self.plan.placements)
        return msgspec.structs.replace(self, plan=msgspec.structs.replace(self.plan, placements=tuple(placements)))


class Model:
    """One version of a model. It is loading when it is made; `Repository` says when that has come to an end."""

    def __init__(self, name: str, version: str, router: Router) -> None:
        """Be known, but not there yet."""
        self.name = name
        self.version = version
        self.state = State.LOADING
        self.reason = ""
        """Why it is unavailable."""
        self.key = ""
        """What the router hosts it under."""
        self.serial = next(_SERIALS)
        """What tells it from any other model that there is or was."""
        self.limit_ms = 0.0
        """How long a request has that does not say: its SLO."""
        self.only_stage = ""
        """Of a model without code: the name that its stage has in the router's plan."""
        self.on_trial = False
        """Whether it has but a share of its model's requests."""
        self.statistics = Statistics()
        self.router = router
        """What runs it."""
        self._servable: Servable | None = None
        self._settled = asyncio.Event()
        self.active = 0
        """Requests in progress."""
        self._idle: asyncio.Event | None = None
        """What is set when no request is in progress any more, where somebody waits for it."""

    # --- what it is

    @property
    def servable(self) -> Servable:
        """What is served. Raise UnavailableError while that is not known yet."""
        if self._servable is None:
            raise self.unavailable()
        return self._servable

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs."""
        return self.servable.pipeline.signature

    @property
    def slo(self) -> Slo:
        """What it promises."""
        return self.servable.plan.slo

    @property
    def max_batch(self) -> int:
        """Most items of a batch by the plan in force, where tensors have a batch axis; 0 where they have none.

        Requests may have more: one that is too large for a batch with others runs alone, or is split.
        """
        if not self.servable.pipeline.batched:
            return 0
        placements = self.router.plan.placements
        return max((each.max_batch for each in placements if each.configuration.stage in self.stages), default=1)

    @property
    def platform(self) -> str:
        """What computes its answers."""
        return "heterosis_emulated" if self.emulated else self.servable.platform

    @property
    def stages(self) -> tuple[str, ...]:
        """Its stages, by the names that the router's plan has for them."""
        hosted = self.router.hosted.get(self.key)
        return hosted.stages if hosted else ()

    @property
    def emulated(self) -> bool:
        """Whether any of its instances only pretends: answers are then worth nothing but their times."""
        return bool(self.router.emulated) and not self.router.emulated.isdisjoint(self.stages)

    @property
    def ready(self) -> bool:
        """Whether requests can be served now: it is loaded, and each stage has an instance that is ready."""
        return self.state is State.READY and all(self.router.alive[stage] for stage in self.stages)

    # --- what becomes of it

    def open(self, servable: Servable) -> tuple[Hosted, Plan]:
        """Take what shall be served, under a key that is free; return what the router needs to host it."""
        self._servable = servable
        self.key = self.router.free_key(self.name)
        plan = qualified(servable.plan, self.key)
        stages = tuple(each.stage for each in plan.stages)
        self.limit_ms = servable.plan.slo.latency_ms
        self.only_stage = stages[0] if servable.pipeline.direct is not None else ""
        hosted = Hosted(
            stages=stages,
            target=servable.target,
            warm_up=servable.warm_up,
            statistics=self.statistics,
            variant_for=servable.variant_for,
        )
        return hosted, plan

    def settle(self, state: State, reason: str = "") -> None:
        """Be ready, or unavailable for a reason; who has waited for it goes on."""
        self.state, self.reason = state, reason
        self._settled.set()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until no request is in progress, or for so long."""
        if not self.active:
            return
        self._idle = self._idle or asyncio.Event()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            log.warning("requests are still in progress", model=self.name, version=self.version, count=self.active)

    def unavailable(self) -> UnavailableError:
        """Say why it cannot be used."""
        return UnavailableError(f"model {self.name!r} is {self.reason or self.state.lower()}")

    # --- requests

    async def available(self, timeout_ms: float | None = None) -> None:
        """Wait while it loads, as long as a request may: the first one after a load is served, not refused.

        Raise DeadlineError past the timeout; UnavailableError where it cannot be loaded, or has been unloaded.
        """
        if self.state is State.LOADING:
            try:
                await asyncio.wait_for(self._settled.wait(), PATIENCE_S if timeout_ms is None else timeout_ms / 1e3)
            except TimeoutError:
                raise DeadlineError(f"model {self.name!r} is still loading") from None
        if self.state is not State.READY:
            raise self.unavailable()

    @property
    def streams(self) -> bool:
        """Whether a request has any number of results."""
        return self.servable.pipeline.generator is not None

    async def infer(
        self,
        values: Mapping[str, Any],
        *,
        timeout_ms: float | None = None,
        request_class: str = DEFAULT_CLASS,
        sink: Callable[[Any], Awaitable[object]] | None = None,
    ) -> Any:
        """Run the pipeline function on decoded inputs, its calls on the workers; return its result.

        Where the function yields and there is a ``sink``, that is given each result, and none is returned.

        The deadline is ``timeout_ms`` from now, else the SLO's latency. Raise RefusedError, DeadlineError, StageError
        or UnavailableError.
        """
        if self.state is not State.READY:
            began = time.monotonic()
            await self.available(timeout_ms)
            if timeout_ms is not None:
                timeout_ms = max(timeout_ms - (time.monotonic() - began) * 1e3, 0.0)
        pipeline = self.servable.pipeline
        if pipeline.direct is not None:
            return await self._infer_directly(values, timeout_ms, request_class)
        limit_ms = timeout_ms if timeout_ms is not None else self.limit_ms
        began = time.monotonic()
        try:
            request = self.router.admit(self.key, limit_ms / 1e3, request_class, pipeline.size(values))
        except HeterosisError as error:
            self.refused(error, began)
            raise
        self.active += 1
        outcome = "cancelled"
        try:
            async with asyncio.timeout(timeout_ms / 1e3 if timeout_ms is not None else PATIENCE_S):
                with calls_run_by(_RequestCaller(self.router, self.key, request)):
                    result = await _run(pipeline, values, sink)
        except TimeoutError:
            outcome = "failed"
            raise out_of_time(began) from None
        except HeterosisError:
            outcome = "failed"
            raise
        except Exception as error:
            outcome = "failed"
            log.exception("pipeline function raised", pipeline=self.key, request=request.id)
            raise StageError(f"pipeline {self.name!r} failed: {type(error).__name__}: {error}") from error
        else:
            outcome = "answered" if time.monotonic() <= request.deadline else "late"
            return result
        finally:
            self.ended(outcome, time.monotonic() - began)
            self.router.end(request, outcome)

    async def _infer_directly(self, values: Mapping[str, Any], timeout_ms: float | None, request_class: str) -> Any:
        args = (values,)
        pipeline = self.servable.pipeline
        try:
            frames = encode(args)
        except EncodeError as error:
            raise StageError(f"model {self.name!r} cannot be called: {error}") from error
        size, divisible = pipeline.size(values), pipeline.divisible(values)
        request = _Awaited(self, frames, size, timeout_ms, request_class, divisible=divisible)
        try:
            return decoded(await request.result)
        finally:
            request.cancel()
            del request  # an error has a traceback, that this frame, and this would have the error

    def ended(self, outcome: str, took_s: float) -> None:
        """Count the end of a request that was let in."""
        self.active -= 1
        if not self.active and self._idle is not None:
            self._idle.set()
            self._idle = None
        self.statistics.ended(outcome, took_s)

    def refused(self, error: HeterosisError, began: float) -> None:
        """Count a request that came then, and was not let in."""
        outcome = "overload" if isinstance(error, RefusedError) else "unavailable"
        self.statistics.ended(outcome, time.monotonic() - began)


def decoded(frames: Sequence[Buffer]) -> Any:
    """Read a call's result. Raise StageError where it cannot be read."""
    try:
        return decode(frames)
    except DecodeError as malformed:
        raise StageError(f"a worker's result cannot be read: {malformed}") from malformed


def _settle(future: "asyncio.Future[Sequence[bytes | memoryview]]", result: Result) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


async def _run(pipeline: Pipeline, values: Mapping[str, Any], sink: Callable[[Any], Awaitable[object]] | None) -> Any:
    if sink is None or pipeline.generator is None:
        return await pipeline.function(**values)
    async for each in pipeline.generator(**values):
        await sink(each)
    return None


class _Awaited(DirectRequest):
    """One whose result is awaited."""

    __slots__ = ("result",)

    def __init__(self, *args: Any, divisible: bool) -> None:
        self.result: asyncio.Future[Sequence[bytes | memoryview]] = asyncio.get_running_loop().create_future()
        super().__init__(*args, divisible=divisible)

    def told(self, result: Result, now: float) -> None:  # noqa: ARG002 - it is told when it is asked
        _settle(self.result, result)


class _RequestCaller:
    """Runs the calls of one request."""

    def __init__(self, router: Router, key: str, request: Request) -> None:
        self._router = router
        self._key = key
        self._request = request.id
        self._numbers = itertools.count()

    async def call(self, stage: Stage, args: tuple[Any, ...]) -> Any:
        try:
            frames = encode(args)
        except EncodeError as error:
            raise StageError(f"stage {stage.name!r} cannot be called: {error}") from error
        name = f"{self._request}/{next(self._numbers)}"
        qualified = qualified_name(self._key, stage.name)
        call = Call(id=name, request=self._request, stage=qualified)
        result: asyncio.Future[Sequence[bytes | memoryview]] = asyncio.get_running_loop().create_future()
        try:
            self._router.open_call(call, frames, partial(_settle, result))
            return decoded(await result)
        finally:
            self._router.close_call(name)
            del result  # an error has a traceback, that this frame, and this would have the error

"""The router: drives the scheduling core in real time, between pipeline functions and workers."""

import asyncio
import hmac
import itertools
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from heterosis.engines.emulated import EmulatedEngine
from heterosis.launch import Launcher
from heterosis.pipeline import Pipeline, Stage, calls_run_by
from heterosis.scheduling import (
    BatchDone,
    CallReady,
    DropCall,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    Record,
    Refusal,
    RefuseRequest,
    RequestArrived,
    RequestEnded,
    RunBatch,
    Scheduler,
    SetPowerMode,
    SetTimer,
    StartInstance,
    StopInstance,
    TimerFired,
)
from heterosis.serving.messages import Assignment, Done, Failed, FromWorker, Hello, Ready, Run
from heterosis.serving.transport import Hub
from heterosis.serving.values import Buffer, DecodeError, EncodeError, decode, encode
from heterosis.terms import DEFAULT_CLASS, Call, Placement, Plan, Request
from heterosis.terms.errors import DeadlineError, HeterosisError, RefusedError, StageError, UnavailableError

log = structlog.get_logger()

PATIENCE_S = 60.0
"""How long a request that names no timeout of its own is kept at most; its SLO is much shorter."""

TICK_S = 1e-3
"""An event loop's resolution: it may call that much too early."""

MOST_FAILED_STARTS = 3

WarmUp = Callable[[Placement], Sequence[Sequence[tuple[Any, ...]]]]

_ERRORS: dict[Refusal, type[HeterosisError]] = {
    Refusal.OVERLOAD: RefusedError,
    Refusal.LATE: DeadlineError,
    Refusal.UNAVAILABLE: UnavailableError,
    Refusal.POISON: StageError,
}


class OpenCall(msgspec.Struct):
    """A call on its way: its encoded arguments, and who awaits the result."""

    frames: Sequence[Buffer]
    result: asyncio.Future[Any]


class Router:
    """Serves one pipeline under a plan: admits requests, runs the pipeline function, and sends its calls to workers."""

    def __init__(
        self,
        pipeline: Pipeline,
        target: str,
        plan: Plan,
        launcher: Launcher,
        *,
        warm_up: WarmUp = lambda _: (),
        record: Callable[[Record], None] | None = None,
    ) -> None:
        """Set up; ``target`` is where workers load the pipeline from, ``record`` is given every step taken."""
        self.pipeline = pipeline
        self.scheduler = Scheduler(plan)
        self.outcomes: dict[str, int] = {}
        """Requests by how they ended: ``answered``, ``late``, ``failed``, ``cancelled``, or a kind of refusal."""
        self._target = target
        self._launcher = launcher
        self._warm_up = warm_up
        self._record = record
        self._token = secrets.token_hex(16)
        self._request_ids = itertools.count(1)
        self._calls: dict[str, OpenCall] = {}
        self._batches: dict[int, tuple[str, ...]] = {}
        self._refused: dict[str, HeterosisError] = {}
        self._peers: dict[str, bytes] = {}
        self._instances: dict[bytes, str] = {}
        self._placements: dict[str, Placement] = {}
        self._last_words: dict[str, str] = {}
        self._ready: set[str] = set()
        self._warm = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hub: Hub | None = None
        self._started_at = 0.0

    # --- life

    async def start(self, address: str) -> None:
        """Listen for workers at an address and start the plan's instances; return at once."""
        self._hub = Hub(address, self._received, self._malformed)
        if self.emulated:
            log.warning("some instances are emulated: their answers are worth nothing but their times")
        self._handle(PlanChanged(plan=self.scheduler.plan))

    async def wait_ready(self) -> None:
        """Wait until every planned instance is loaded and warm; raise where one cannot be."""
        while len(self._ready) < len(self.scheduler.plan.placements):
            for instance, reason in self._last_words.items():
                raise UnavailableError(f"instance {instance} cannot load: {reason}")
            for instance, record in self.scheduler.instances.items():
                if record.failures == MOST_FAILED_STARTS:
                    raise UnavailableError(f"instance {instance} ended {record.failures} times before it was ready")
            self._changed.clear()
            await self._changed.wait()
        self._warm.set()

    @property
    def emulated(self) -> bool:
        """Whether any instance only pretends: answers are then worth nothing but their times."""
        plan = self.scheduler.plan
        return any(plan.variant(each.configuration).engine == EmulatedEngine.name for each in plan.placements)

    @property
    def ready(self) -> bool:
        """Whether requests can be served: all was warm once, and each stage still has an instance that is ready."""
        stages = {placement.configuration.stage for placement in self.scheduler.plan.placements}
        alive = {self._placements[name].configuration.stage for name in self._ready}
        return self._warm.is_set() and stages <= alive

    async def stop(self) -> None:
        """Stop every worker. Requests in progress are answered with an error."""
        for call in self._calls.values():
            if not call.result.done():
                call.result.set_exception(UnavailableError("the server is stopping"))
        await asyncio.sleep(0)
        nothing = msgspec.structs.replace(self.scheduler.plan, placements=())
        self._handle(PlanChanged(plan=nothing))
        await asyncio.gather(*(self._launcher.stop(name) for name in self._launcher.pids()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._hub is not None:
            self._hub.close()

    # --- requests

    async def infer(
        self,
        values: Mapping[str, Any],
        *,
        timeout_ms: float | None = None,
        request_class: str = DEFAULT_CLASS,
    ) -> Any:
        """Run the pipeline function on decoded inputs, its calls on the workers; return its result.

        The deadline is ``timeout_ms`` from now, else the SLO's latency. Raise RefusedError, DeadlineError, StageError
        or UnavailableError.
        """
        now = time.monotonic()
        limit_ms = timeout_ms if timeout_ms is not None else self.scheduler.plan.slo.latency_ms
        request = Request(
            id=f"r{next(self._request_ids)}",
            pipeline=self.pipeline.name,
            arrival=now,
            deadline=now + limit_ms / 1e3,
            request_class=request_class,
        )
        self._handle(RequestArrived(request=request))
        refused = self._refused.pop(request.id, None)
        if refused is not None:
            raise refused
        outcome = "cancelled"
        try:
            async with asyncio.timeout(timeout_ms / 1e3 if timeout_ms is not None else PATIENCE_S):
                with calls_run_by(_RequestCaller(self, request.id)):
                    result = await self.pipeline.function(**values)
        except TimeoutError:
            outcome = "failed"
            raise DeadlineError(f"no answer within {(time.monotonic() - now) * 1e3:.0f} ms") from None
        except HeterosisError:
            outcome = "failed"
            raise
        except Exception as error:
            outcome = "failed"
            log.exception("pipeline function raised", pipeline=self.pipeline.name, request=request.id)
            raise StageError(f"pipeline {self.pipeline.name!r} failed: {type(error).__name__}: {error}") from error
        else:
            outcome = "answered" if time.monotonic() <= request.deadline else "late"
            return result
        finally:
            self._count(outcome)
            self._handle(RequestEnded(request=request.id, outcome=outcome))

    async def run_call(self, request: str, number: int, stage: Stage, args: tuple[Any, ...]) -> Any:
        """Send one call through the scheduler and wait for its result."""
        try:
            frames = encode(args)
        except EncodeError as error:
            raise StageError(f"stage {stage.name!r} cannot be called: {error}") from error
        name = f"{request}/{number}"
        call = self._calls[name] = OpenCall(frames, asyncio.get_running_loop().create_future())
        try:
            self._handle(CallReady(call=Call(id=name, request=request, stage=stage.name)))
            return await call.result
        finally:
            del self._calls[name]

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    # --- effects

    def _handle(self, event: Event) -> None:
        now = time.monotonic()
        effects = self.scheduler.handle(event, now)
        if self._record is not None:
            self._record(Record(at=now, event=event, effects=tuple(effects)))
        for effect in effects:
            match effect:
                case RunBatch():
                    self._run_batch(effect)
                case DropCall():
                    self._fail(effect.call, _ERRORS[effect.kind](effect.reason))
                case RefuseRequest():
                    self._count(effect.kind.value)
                    self._refused[effect.request] = _refusal(effect)
                case StartInstance():
                    self._start_instance(effect.placement)
                case StopInstance():
                    self._spawn(self._launcher.stop(effect.instance))
                case SetPowerMode():
                    log.info("power mode", node=effect.node, device=effect.device, mode=effect.mode)
                case SetTimer():
                    self._set_timer(effect)

    def _set_timer(self, timer: SetTimer) -> None:
        delay = max(timer.at - time.monotonic(), TICK_S)
        asyncio.get_running_loop().call_later(delay, self._fire, timer)

    def _fire(self, timer: SetTimer) -> None:
        """Tell that it is time, but not before it is: what is not due yet would wait for a timer that is gone."""
        if time.monotonic() < timer.at:
            self._set_timer(timer)
        else:
            self._handle(TimerFired(key=timer.key))

    def _run_batch(self, effect: RunBatch) -> None:
        assert self._hub is not None  # noqa: S101
        self._batches[effect.batch] = effect.calls
        sizes: list[int] = []
        frames: list[Buffer] = []
        for call in effect.calls:
            held = self._calls[call].frames
            sizes.append(len(held))
            frames += held
        self._hub.send(self._peers[effect.instance], Run(batch=effect.batch, sizes=tuple(sizes)), frames)

    def _fail(self, call: str, error: HeterosisError) -> None:
        held = self._calls.get(call)
        if held is not None and not held.result.done():
            held.result.set_exception(error)

    def _start_instance(self, placement: Placement) -> None:
        assert self._hub is not None  # noqa: S101
        self._placements[placement.instance] = placement
        log.info("starting instance", instance=placement.instance, variant=placement.configuration.variant)
        variant = self.scheduler.plan.variant(placement.configuration)
        self._spawn(self._launcher.start(placement, variant, self._hub.address, self._token, self._ended))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- workers

    def _received(self, peer: bytes, message: FromWorker, frames: list[Buffer]) -> None:
        if isinstance(message, Hello):
            self._welcome(peer, message)
            return
        instance = self._instances.get(peer)
        if instance is None:
            log.warning("dropped a message of a worker that never said who it is")
            return
        match message:
            case Done():
                self._batch_done(message, frames)
            case Ready():
                self._ready.add(instance)
                self._last_words.pop(instance, None)
                self._changed.set()
                log.info("instance ready", instance=instance, load_ms=round(message.load_ms))
                self._handle(InstanceReady(instance=instance, load_ms=message.load_ms + message.warm_up_ms))
            case Failed():
                log.error("instance cannot load", instance=instance, reason=message.reason)
                self._last_words[instance] = message.reason
                self._changed.set()
                self._spawn(self._launcher.stop(instance))

    def _malformed(self, peer: bytes, error: str) -> None:
        log.warning("dropped a malformed message", instance=self._instances.get(peer), error=error)

    def _welcome(self, peer: bytes, hello: Hello) -> None:
        placement = self._placements.get(hello.instance)
        known = placement is not None and hello.instance not in self._peers
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()) or not known or placement is None:
            log.warning("turned a worker away", instance=hello.instance, pid=hello.pid)
            return
        assert self._hub is not None  # noqa: S101
        self._peers[hello.instance] = peer
        self._instances[peer] = hello.instance
        configuration = placement.configuration
        assignment = Assignment(
            pipeline=self._target,
            stage=configuration.stage,
            variant=self.scheduler.plan.variant(configuration),
            threads=configuration.threads,
        )
        self._hub.send(peer, assignment, encode([list(batch) for batch in self._warm_up(placement)]))

    def _batch_done(self, done: Done, frames: list[Buffer]) -> None:
        calls = self._batches.pop(done.batch)
        position = 0
        failed = []
        for place, (call, size) in enumerate(zip(calls, done.sizes, strict=True)):
            held = self._calls.get(call)
            error = done.errors.get(place)
            if error is not None:
                failed.append(call)
                self._fail(call, StageError(error))
            elif held is not None and not held.result.done():
                try:
                    held.result.set_result(decode(frames[position : position + size]))
                except DecodeError as malformed:
                    held.result.set_exception(StageError(f"a worker's result cannot be read: {malformed}"))
            position += size
        self._handle(BatchDone(batch=done.batch, run_ms=done.run_ms, failed=tuple(failed)))

    def _ended(self, instance: str, reason: str) -> None:
        reason = self._last_words.get(instance, reason)
        peer = self._peers.pop(instance, None)
        if peer is not None:
            del self._instances[peer]
        self._ready.discard(instance)
        record = self.scheduler.instances[instance]
        for batch in record.batches:
            del self._batches[batch.id]
        log.info("instance down", instance=instance, reason=reason)
        self._handle(InstanceDown(instance=instance, reason=reason))
        self._changed.set()


class _RequestCaller:
    """Runs the calls of one request."""

    def __init__(self, router: Router, request: str) -> None:
        self._router = router
        self._request = request
        self._numbers = itertools.count()

    async def call(self, stage: Stage, args: tuple[Any, ...]) -> Any:
        return await self._router.run_call(self._request, next(self._numbers), stage, args)


def _refusal(effect: RefuseRequest) -> HeterosisError:
    error = _ERRORS[effect.kind](effect.reason)
    if isinstance(error, RefusedError):
        error.retry_after_s = effect.retry_after_s
    return error

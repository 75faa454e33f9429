"""The repository of models: what stands between clients, who name models, and the router, which hosts pipelines.

Loading a model joins its plan to the one in force, unloading takes it out again: both go the way of every change of
the plan (`Router.change_plan`). A model that is loaded anew, or in another version, is ready before the former one
stops taking requests, and that one ends once it has answered those it had. Where a trial is asked for, it gets a share
of the requests first (`rollout`).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from heterosis.control import Decisions, Noted
from heterosis.control.canary import Trial
from heterosis.serving.hosting import Hosted
from heterosis.serving.models import Model, Servable, State
from heterosis.serving.rollout import Rollout
from heterosis.serving.router import Router
from heterosis.terms import Plan
from heterosis.terms.errors import NotFoundError, StalePlanError, UsageError
from heterosis.terms.joining import joined, without

log = structlog.get_logger()

VERSION = "1"
"""Of a pipeline that is not one of several versions."""

GRACE_S = 30.0
"""How long the requests in progress of a model that is unloaded are waited for."""


class Source(Protocol):
    """Where models come from."""

    def listed(self) -> Mapping[str, Sequence[str]]:
        """Return what could be loaded now: the versions of each model, the newest last."""
        ...

    async def open(self, name: str, version: str) -> Servable:
        """Make ready what it takes to serve a model. Raise what says why that cannot be."""
        ...


class FixedSource:
    """Models that are at hand, each in one version."""

    def __init__(self, *servables: Servable) -> None:
        """Offer each under the name of its pipeline."""
        self._servables = {each.pipeline.name: each for each in servables}

    def listed(self) -> Mapping[str, Sequence[str]]:
        """See `Source.listed`."""
        return dict.fromkeys(self._servables, (VERSION,))

    async def open(self, name: str, version: str) -> Servable:  # noqa: ARG002 - there is only one
        """See `Source.open`."""
        return self._servables[name]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What the repository says of one version of a model."""

    name: str
    version: str
    state: State
    reason: str = ""


class Repository:
    """All models of a server, by name and version."""

    def __init__(self, router: Router, source: Source, trial: Trial | None = None) -> None:
        """Hold nothing yet; what replaces a model that is served is tried first, where a trial is given."""
        self.router = router
        self.trial = trial
        self.rollouts: dict[str, Rollout] = {}
        """Versions on trial, by model."""
        self.decisions = Decisions()
        self._judging: set[asyncio.Task[None]] = set()
        self._source = source
        self._models: dict[str, dict[str, Model]] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # --- what there is

    def models(self) -> Sequence[Model]:
        """All models that are loaded or loading, every version."""
        loaded = [model for versions in self._models.values() for model in versions.values()]
        on_trial = [rollout.model for rollout in self.rollouts.values()]
        return [model for model in (*loaded, *on_trial) if model.state is not State.UNAVAILABLE]

    def turn(self, name: str, version: str = "") -> Model:
        """Return the model that a request is for: a share of those that name no version are for one on trial."""
        rollout = None if version else self.rollouts.get(name)
        return self.get(name, version) if rollout is None else rollout.turn()

    def only(self, name: str, version: str = "") -> Model | None:
        """Return the model that every such request is for, as `get` does; None while one of its name is on trial."""
        if name in self.rollouts:
            return None
        versions = self._models.get(name)
        if not version and versions and len(versions) == 1:  # asked for each request, so without detours
            (model,) = versions.values()
            return model
        return self.get(name, version)

    def rollout_of(self, model: Model) -> Rollout | None:
        """The trial that a model is on, if it is."""
        rollout = self.rollouts.get(model.name)
        return rollout if rollout is not None and rollout.model is model else None

    def get(self, name: str, version: str = "") -> Model:
        """Return a model, by default the newest version that can be used. Raise NotFoundError where there is none."""
        versions = self._models.get(name)
        if not versions:
            known = ", ".join(self._models) or "none"
            raise NotFoundError(f"Request for unknown model: {name!r} is not found; this server has: {known}")
        if not version and len(versions) == 1:
            return next(iter(versions.values()))
        if not version:
            usable = [model for model in versions.values() if model.state is not State.UNAVAILABLE]
            return max(usable or versions.values(), key=lambda model: order(model.version))
        rollout = self.rollouts.get(name)
        if version not in versions and rollout is not None and rollout.model.version == version:
            return rollout.model
        if version not in versions:
            raise NotFoundError(f"model {name!r} has no version {version!r}; it has: {', '.join(versions)}")
        return versions[version]

    def index(self) -> list[Listing]:
        """List every version of every model: what is loaded, and what could be."""
        found = {
            (name, version): Listing(name=name, version=version, state=State.UNAVAILABLE, reason="not loaded")
            for name, versions in self._source.listed().items()
            for version in versions
        }
        for name, versions in self._models.items():
            for version, model in versions.items():
                found[name, version] = Listing(name=name, version=version, state=model.state, reason=model.reason)
        for name, rollout in self.rollouts.items():
            model = rollout.model
            reason = f"on trial, with {rollout.canary.trial.share:.0%} of the requests"
            found[name, model.version] = Listing(name=name, version=model.version, state=model.state, reason=reason)
        return list(found.values())

    # --- what is done with it

    async def load(
        self, name: str, version: str = "", *, max_batch: int | None = None, trial: Trial | None = None
    ) -> None:
        """Load a model, by default its newest version in place of any other, anew where it is loaded already.

        ``max_batch`` overrides the largest batch of all its instances, ``trial`` how it is tried where it replaces one
        that is served (a share of 0: not at all). Return when it is ready. Raise NotFoundError, or what says why it
        cannot be loaded; a version that was loaded then serves on.
        """
        async with self._locks[name]:
            listed = self._source.listed().get(name)
            if not listed:
                raise NotFoundError(
                    f"no model {name!r} to load; there are: {', '.join(self._source.listed()) or 'none'}"
                )
            wanted = version or listed[-1]
            if wanted not in listed:
                raise NotFoundError(f"model {name!r} has no version {wanted!r} to load; it has: {', '.join(listed)}")
            await self._end_trial(name, "another was loaded")
            versions = self._models.setdefault(name, {})
            former = versions.get(wanted)
            model = Model(name, wanted, self.router)
            if former is None or former.state is State.UNAVAILABLE:
                former = None
            replaced = [each for each in versions.values() if each.state is State.READY] if not version else []
            replaced += [former] if former and former not in replaced else []
            trial = trial or self.trial
            tried = bool(replaced) and trial is not None and trial.share > 0
            if former is None and not tried:
                versions[wanted] = model
            try:
                await self._bring_up(model, max_batch)
            except BaseException as error:
                model.settle(State.UNAVAILABLE, f"not loaded: {error}")
                raise
            if tried and trial is not None:
                await self._begin_trial(model, max(replaced, key=lambda each: order(each.version)), trial)
                return
            versions[wanted] = model
            model.settle(State.READY)
            log.info("model ready", model=name, version=wanted)
            for each in replaced:
                await self._take_down(each, "replaced")

    async def unload(self, name: str) -> None:
        """Unload every version of a model, once the requests that it has are answered. Raise NotFoundError."""
        async with self._locks[name]:
            self.get(name)
            await self._end_trial(name, "the model is unloaded")
            for model in self._models[name].values():
                await self._take_down(model, "unloaded")

    # --- trials

    async def _begin_trial(self, model: Model, former: Model, trial: Trial) -> None:
        """Give a version a share of the requests. Raise UsageError where its clients would have to ask otherwise."""
        if model.signature != former.signature:
            message = (
                f"version {model.version} of {model.name!r} has other inputs or outputs than version "
                f"{former.version}, so it cannot have a share of the same requests: load it without a canary"
            )
            await self._take_down(model, message)
            raise UsageError(message)
        model.on_trial = True
        model.settle(State.READY)
        rollout = self.rollouts[model.name] = Rollout(model, former, trial)
        self._note(f"{_named(model)} gets {trial.share:.0%} of the requests")
        task = asyncio.create_task(self._judge(rollout))
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    async def _judge(self, rollout: Rollout) -> None:
        verdict = await rollout.verdict()
        model, former = rollout.model, rollout.former
        async with self._locks[model.name]:
            if self.rollouts.get(model.name) is not rollout:
                return
            del self.rollouts[model.name]
            if not verdict.promoted:
                self._note(f"{_named(model)} is backed out: {verdict.reason}", changed=True)
                await self._take_down(model, f"backed out: {verdict.reason}")
                self._models[model.name].setdefault(model.version, model)
                return
            self._note(f"{_named(model)} is promoted: {verdict.reason}", changed=True)
            model.on_trial = False
            self._models[model.name][model.version] = model
            await self._take_down(former, f"replaced by version {model.version}: {verdict.reason}")

    async def _end_trial(self, name: str, why: str) -> None:
        rollout = self.rollouts.pop(name, None)
        if rollout is not None:
            self._note(f"{_named(rollout.model)} is taken back: {why}", changed=True)
            await self._take_down(rollout.model, f"taken back: {why}")

    def _note(self, reason: str, *, changed: bool = False) -> None:
        log.info("canary", reason=reason)
        self.decisions.add(Noted(at=time.monotonic(), what="canary", changed=changed, reason=reason))

    def close(self) -> None:
        """Judge no more."""
        for task in self._judging:
            task.cancel()

    # --- what is in force

    async def _bring_up(self, model: Model, max_batch: int | None) -> None:
        servable = await self._source.open(model.name, model.version)
        hosted, own = model.open(servable if max_batch is None else servable.with_batches(max_batch))

        def added(plan: Plan, others: Mapping[str, Hosted]) -> tuple[Plan, Mapping[str, Hosted]]:
            return joined(plan, own), {**others, model.key: hosted}

        await self._change(added, f"{_named(model)} is loaded")
        try:
            await self.router.wait_ready(placement.instance for placement in own.placements)
        except BaseException:
            await self._leave(model, "it cannot load")
            raise

    async def _take_down(self, model: Model, why: str) -> None:
        if model.state is State.UNAVAILABLE:
            return
        model.settle(State.UNAVAILABLE, why)
        await model.wait_idle(GRACE_S)
        await self._leave(model, why)
        log.info("model unloaded", model=model.name, version=model.version)

    async def _leave(self, model: Model, why: str) -> None:
        def less(plan: Plan, others: Mapping[str, Hosted]) -> tuple[Plan, Mapping[str, Hosted]]:
            return without(plan, model.key), {key: each for key, each in others.items() if key != model.key}

        await self._change(less, f"{_named(model)} goes: {why}")

    async def _change(
        self, make: Callable[[Plan, Mapping[str, Hosted]], tuple[Plan, Mapping[str, Hosted]]], reason: str
    ) -> None:
        while True:
            since = self.router.plan
            plan, hosted = make(since, self.router.hosted)
            try:
                await self.router.change_plan(plan, since=since, hosted=hosted, wait=False, reason=reason)
            except StalePlanError:
                continue  # another change came first
            return


def _named(model: Model) -> str:
    return f"version {model.version} of {model.name}"


def order(version: str) -> tuple[int, str]:
    """Sort versions: numbers by their value, before them what is no number."""
    return (int(version), version) if version.isdecimal() else (-1, version)

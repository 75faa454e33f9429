"""The way from a pipeline file to a plan and a server, in one place for every verb: each step makes those before it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Protocol

import msgspec

from heterosis.devices import local_fleet, open_modes
from heterosis.pipeline import Trace
from heterosis.planning import InfeasibleError, Snapshot, max_rate, naive_plan
from heterosis.planning import Judge as PlanningJudge
from heterosis.planning import plan as make_plan
from heterosis.planning.fleet import Workload
from heterosis.planning.fleet.task import Combination
from heterosis.profiling import Decide, Progress, Settings
from heterosis.profiling import profile as make_profile
from heterosis.profiling.interference import crowding
from heterosis.profiling.staleness import why_stale
from heterosis.terms import (
    DEFAULT_MODE,
    NO_OVERHEAD,
    Fleet,
    Overhead,
    Plan,
    Profile,
    Provenance,
    Slo,
    Variant,
    VariantSet,
)
from heterosis.terms.errors import UsageError
from heterosis.variants import Judge, make_variants
from heterosis.variants.comparison import Comparison, compare
from heterosis.workflow.blame import load, user_code
from heterosis.workflow.deciding import Cheapest, MostCapable, Points
from heterosis.workflow.goals import goal
from heterosis.workflow.overhead import known_overhead, measure
from heterosis.workflow.served import as_profiled, served
from heterosis.workflow.service import Service
from heterosis.workflow.traces import stored_trace
from heterosis.workflow.verification import simulated

SECONDS_PER_VARIANT = 4.0
"""For a first look at what a variant costs: its process has to start, too."""
OVERHEAD_SHARE, LEAST_OVERHEAD_S, MOST_OVERHEAD_S = 0.1, 6.0, 15.0
"""Of the budget of profiling, what is spent on the server itself, and within which bounds; below them nothing is."""
UNLIMITED_MS = 1e9


class Step(Protocol):
    """Is told how work goes on: what is being done now, and how much is done, of how much."""

    def __call__(self, text: str = "", *, done: float | None = None, total: float | None = None) -> None:
        """Go one step further, or to ``done``."""
        ...


Report = Callable[[str, float | None], AbstractContextManager[Step]]
"""Called with what begins, and its number of steps where that is known; the `Step` is called while it lasts."""


def silent(_what: str, _total: float | None) -> AbstractContextManager[Step]:
    """Report to nobody."""
    return nullcontext(lambda *_, **__: None)


class Workflow:
    """One pipeline on this machine, under one SLO. What is asked for is made, or read from the store, once.

    ``target`` is ``FILE`` or ``FILE:NAME``; ``latency_ms``, ``min_accuracy`` and ``class_accuracy`` stand in for those
    of the pipeline's own SLO; ``settings`` say how to profile. With a profile that is ``given``, nothing is measured.
    Not for use inside a running event loop.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that can be asked for
        self,
        target: str,
        store: Path,
        *,
        latency_ms: float | None = None,
        min_accuracy: float | None = None,
        class_accuracy: Mapping[str, float] | None = None,
        settings: Settings | None = None,
        given: Profile | None = None,
        report: Report = silent,
    ) -> None:
        """Load the pipeline; everything else waits until it is asked for."""
        self.target = target
        self.store = store
        self.pipeline = load(target)
        slo = goal(self.pipeline.slo, latency_ms=latency_ms, min_accuracy=min_accuracy, class_accuracy=class_accuracy)
        self.slo = slo.alike  # a stage runs one variant at a time here
        self._settings = settings or Settings()
        self.remarks: list[str] = []
        """What whoever plans and serves should know of the profile."""
        self._given = given
        self._profiled_s = 0.0
        self._overhead: Overhead | None = None
        """The last that was measured, or read from the store."""
        self._judged: dict[frozenset[tuple[str, str]], float] = {}
        self._report = report

    @cached_property
    def trace(self) -> Trace:
        """The pipeline run on its samples."""
        with self._report(f"Tracing {self.pipeline.name}", len(self.pipeline.load_samples())) as step:
            return stored_trace(self.pipeline, self.store / "traces", step)

    @cached_property
    def variants(self) -> VariantSet:
        """Every variant of every stage that is of use under the SLO."""
        trace = self.trace
        with self._report(f"Making variants of {self.pipeline.name}", None) as step:
            return make_variants(
                self.pipeline,
                trace,
                self.store,
                progress=lambda text, done, total: step(text, done=done, total=total),
                min_accuracy=self.slo.min_accuracy,
            )

    @cached_property
    def fleet(self) -> Fleet:
        """The devices of this machine."""
        return local_fleet()

    def profile(self, rates: Sequence[float] = (1.0,), *, capacity: bool = False, full: bool = False) -> Profile:
        """The variants, measured here as far as plans for these rates depend on it; with ``full``, the whole grid.

        With ``capacity``, the plan for the highest rate counts, too. Raise UsageError where the profile that was given
        is another pipeline's.
        """
        if self._given is not None:
            return self._checked(self._given)
        variants, inputs = self.variants, self.trace.inputs
        settings = msgspec.structs.replace(self._settings, cap_ms=self.slo.latency_ms)
        if not full:  # one budget for all that is asked of one workflow
            settings = msgspec.structs.replace(settings, budget_s=max(0.0, settings.budget_s - self._profiled_s))
        started = time.monotonic()
        with (
            self._report(f"Profiling {self.pipeline.name}", None) as step,
            self._judge(lambda *_, **__: None) as judge,
            self._power_modes(settings.modes) as set_mode,
        ):

            def tell(now: Progress) -> None:
                text = f"{now.stage} {now.variant}, threads {now.threads or 'all'}, batch {now.batch}"
                step(text, done=now.done, total=now.total)

            found = make_profile(
                self.target,
                variants,
                inputs,
                self.fleet.devices[0],
                store=self.store,
                settings=settings,
                set_mode=set_mode,
                decide=None if full else self._decide(rates, judge, capacity=capacity),
                progress=tell,
            )
        self._profiled_s += time.monotonic() - started
        self.remarks += [remark for remark in found.stale if remark not in self.remarks]
        return found

    @cached_property
    def comparison(self) -> Comparison:
        """Every variant, one item at a time on one thread, side by side."""
        variants = self.variants
        count = sum(bool(variant.artifact) for variant in variants.variants)
        budget_s = SECONDS_PER_VARIANT * count
        settings = Settings(threads=(1,), batches=(1,), cap_ms=self.slo.latency_ms, budget_s=budget_s)
        with self._report(f"Measuring variants of {self.pipeline.name}", None) as step:

            def tell(now: Progress) -> None:
                step(f"{now.stage} {now.variant}", done=now.done, total=now.total)

            found = make_profile(
                self.target,
                variants,
                self.trace.inputs,
                self.fleet.devices[0],
                store=self.store,
                settings=settings,
                progress=tell,
            )
        return compare(variants, found.points, found.machine)

    def overhead(self, profile: Profile, rate_rps: float = 1.0) -> Overhead:
        """What the server itself costs a request, and how long batches take when served: what was measured last.

        Where nothing was yet, it is measured on the cheapest plan for this rate or, if none keeps the SLO, on the one
        that is cheapest without any limit.
        """
        if self._overhead is None and self._measures:
            asked = self._asked(rate_rps, profile)
            with self._judge(lambda *_, **__: None) as judge:
                try:
                    first = make_plan(asked, judge=judge)
                except InfeasibleError:
                    slo = Slo(latency_ms=UNLIMITED_MS, percentile=self.slo.percentile)
                    first = make_plan(msgspec.structs.replace(asked, slo=slo, rate_rps=1e-3))
            self._measure(first)
        return self._overhead or NO_OVERHEAD

    @property
    def _measures(self) -> bool:
        """Whether this machine is the one that was profiled, and the budget of that leaves some time for the server."""
        return self._given is None and self._overhead_s >= LEAST_OVERHEAD_S

    @property
    def _overhead_s(self) -> float:
        return min(OVERHEAD_SHARE * self._settings.budget_s, MOST_OVERHEAD_S)

    def _measured_on(self, plan: Plan, profile: Profile) -> bool:
        """Whether the overhead is that of what this plan runs; if it was not, it is from now on."""
        if not self._measures:
            return True
        before = self._overhead
        self._measure(as_profiled(plan, profile))
        return self._overhead == before

    def _measure(self, plan: Plan) -> None:
        """Measure the server's overhead on a plan with the points that were profiled, unless it is in the store."""
        found = known_overhead(self.pipeline, self.store, plan)
        if found is None:
            device = self.fleet.devices[0]
            with self._report(f"Measuring what the server adds to {self.pipeline.name}", None):
                found = measure(self.pipeline, self.target, device, self.store, self._overhead_s, plan)
        self._overhead = found

    def snapshot(self, rate_rps: float, profile: Profile | None = None) -> Snapshot:
        """All that a plan for this rate depends on, measured as far as it does, or with a profile that is given."""
        asked = self._asked(rate_rps, profile or self.profile([rate_rps]))
        return served(msgspec.structs.replace(asked, overhead=self.overhead(asked.profile, rate_rps)))

    def _asked(self, rate_rps: float, profile: Profile) -> Snapshot:
        """What a plan depends on, with the server's overhead as far as it is known."""
        return Snapshot(
            graph=self.trace.graph,
            slo=self.slo,
            rate_rps=rate_rps,
            variants=self.variants,
            profile=profile,
            fleet=self.fleet,
            overhead=self._overhead or NO_OVERHEAD,
        )

    def plan(self, rate_rps: float) -> Plan:
        """The cheapest plan for this rate, its accuracy measured and its latency tried in the simulator.

        How long its batches take when served is measured on what it runs: where that turns out to be something else
        than was measured before, it is measured, and planned for, once more. Raise InfeasibleError, with the nearest
        that is possible, where there is no plan.
        """
        profile = self.profile([rate_rps])
        plan = self._plan(self.snapshot(rate_rps, profile))
        if self._measured_on(plan, profile):
            return plan
        return self._plan(self.snapshot(rate_rps, profile))

    def _plan(self, snapshot: Snapshot) -> Plan:
        with self._report(f"Planning {self.pipeline.name}", None) as step, self._judge(step) as judge:
            crowded = crowding(snapshot.profile.interference)
            return make_plan(snapshot, judge=judge, verify=simulated(snapshot.graph, step, crowding=crowded))

    def workload(
        self, rate_rps: float, plan: Callable[[Workload, dict[Combination, float]], Plan] | None = None
    ) -> tuple[Workload, dict[Combination, float]]:
        """What a loop plans with while it serves, and the end-to-end accuracies that were measured for it.

        The variants are those that plans for this rate, for half of it, or for all that the machine can bear make use
        of, so that whatever is planned later has been measured. Combinations that were not count as useless. ``plan``
        says what the loop begins with: how long batches take when served is measured on that.
        """
        profile = self.profile([rate_rps / 2, rate_rps], capacity=True)
        found = self._workload(rate_rps, profile)
        if plan is None or self._measured_on(plan(*found), profile):
            return found
        return self._workload(rate_rps, profile)

    def _workload(self, rate_rps: float, profile: Profile) -> tuple[Workload, dict[Combination, float]]:
        names = {(each.stage, each.digest): each.name for each in self.variants.variants}
        measured = {
            tuple((stage, names[stage, dict(together)[stage]]) for stage in self.trace.graph.stages): accuracy
            for together, accuracy in self._judged.items()
        }
        used = {each for combination in measured for each in combination}
        kept = tuple(each for each in self.variants.variants if not used or (each.stage, each.name) in used)
        asked = self.snapshot(rate_rps, profile)
        workload = Workload(
            graph=asked.graph,
            slo=self.slo,
            rate_rps=rate_rps,
            variants=msgspec.structs.replace(self.variants, variants=kept),
            profile=asked.profile,
        )
        usable = {stage: tuple(each.name for each in kept if each.stage == stage) for stage in self.trace.graph.stages}
        every = workload.combinations(usable) or [] if measured else []
        return workload, {each: measured.get(each, 0.0) for each in every}

    def naive_plan(self, rate_rps: float) -> Plan:
        """What one would deploy without a planner: the reference models as they come."""
        return naive_plan(self.snapshot(rate_rps, self.profile(())))

    def max_rate(self) -> float:
        """The highest rate, in requests per second, for which there is a plan."""
        return max_rate(self.snapshot(1.0, self.profile((), capacity=True)))

    def service(self, plan: Plan) -> Service:
        """A plan, ready to be served."""
        return Service(self.pipeline, self.target, plan, self.fleet.devices[0], self.trace.inputs)

    def check_plan(self, plan: Plan) -> None:
        """Remark on what has changed since the points of a plan were measured."""
        self._remark_on(plan.measured, VariantSet(pipeline=plan.pipeline, variants=()))

    def _checked(self, given: Profile) -> Profile:
        """Remark on what has changed since a profile was measured."""
        if given.pipeline != self.pipeline.name:
            raise UsageError(
                f"the profile is of pipeline {given.pipeline!r}, and {self.target} has {self.pipeline.name!r}"
            )
        self._remark_on(given.origins, self.variants)
        return given

    def _remark_on(self, origins: Sequence[Provenance], variants: VariantSet) -> None:
        types = [device.type.name for device in self.fleet.devices]
        for reason in why_stale(origins, types, variants):
            if reason not in self.remarks:
                self.remarks.append(reason)

    def _decide(self, rates: Sequence[float], judge: PlanningJudge | None, *, capacity: bool) -> list[Decide]:
        """Return those who decide which points matter."""
        none = Profile(pipeline=self.pipeline.name, machine="", measured_at="", versions={}, points=())

        def snap(rate_rps: float) -> Callable[[Points], Snapshot]:
            asked = self._asked(rate_rps, none)
            return lambda points: msgspec.structs.replace(
                asked, profile=msgspec.structs.replace(none, points=tuple(points))
            )

        plans = [Cheapest(snap(rate_rps), judge, simulated(self.trace.graph)) for rate_rps in rates]
        return [*plans, *([MostCapable(snap(1.0))] if capacity else [])]

    @contextmanager
    def _power_modes(self, modes: Sequence[str]) -> Iterator[Callable[[str], object]]:
        """Give what brings the device into a power mode; in the end, it is as it was."""
        if set(modes) <= {DEFAULT_MODE}:
            yield lambda _: None
            return
        device = self.fleet.devices[0].name
        with open_modes([device]) as actuators:
            self.remarks += actuators.recovered
            yield lambda mode: actuators.set_now(device, mode)

    @contextmanager
    def _judge(self, step: Step) -> Iterator[PlanningJudge | None]:
        """Give what measures the accuracy of a combination of variants; None where no accuracy is known."""
        if self.variants.reference_accuracy is None:
            yield None
            return
        references = {stage.name: self.variants.reference(stage.name) for stage in self.pipeline.stages}
        with user_code(f"the samples of pipeline {self.pipeline.name!r} cannot be judged"):
            judge = Judge(self.pipeline, references, self.store.resolve())

        def accuracy(chosen: Mapping[str, Variant]) -> float:
            together = frozenset((stage, variant.digest) for stage, variant in chosen.items())
            if together not in self._judged:
                step("judging the variants together")
                self._judged[together] = judge.verdict(chosen).accuracy or 0.0  # one that fails is of no use
            return self._judged[together]

        try:
            yield accuracy
        finally:
            judge.close()

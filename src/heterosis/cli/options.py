"""Options that several verbs share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterosis.control import Settings
    from heterosis.control.canary import Trial

DEFAULT_STORE = Path(".heterosis")

PipelineFile = Annotated[
    str, Parameter(help="A Python file that defines a pipeline; FILE:NAME where it defines several.")
]
Store = Annotated[
    Path, Parameter(env_var="HETEROSIS_STORE", help="Folder of all that is made and measured; it can be deleted.")
]
Json = Annotated[
    bool,
    Parameter(name="--json", negative=(), show_default=False, help="Write JSON, and nothing else, to standard output."),
]
Rate = Annotated[float, Parameter(help="Requests per second to plan for.")]
SloMs = Annotated[
    float | None, Parameter(name="--slo", help="Latency in milliseconds, instead of the pipeline's own SLO.")
]
Accuracy = Annotated[
    float | None, Parameter(help="Least mean accuracy (0..1) of the answers, instead of the pipeline's own SLO.")
]
ClassAccuracy = Annotated[
    list[str] | None,
    Parameter(
        negative=(),
        help="CLASS=ACCURACY: requests of this class, which is their `priority`, have a floor of their own; may be "
        "given several times.",
    ),
]
Budget = Annotated[
    float | None, Parameter(help="Seconds that profiling may take; what is left out then is said in the profile.")
]
ProfileFile = Annotated[
    Path | None,
    Parameter(
        name="--profile",
        help="A profile to plan with, as `heterosis profile` wrote it with --json, instead of measuring.",
    ),
]
Naive = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Take the reference models as they come instead of a plan, to compare with.",
    ),
]
Run = Annotated[
    int,
    Parameter(help="Which of the journal's runs, in order from 0; -1 is the last one. Each start of a server is one."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How the loop goes about it."""

    every: Annotated[
        float, Parameter(help="With --adapt: seconds from one plan to the next, where nothing asks for one sooner.")
    ] = 30.0
    horizon: Annotated[
        float, Parameter(help="With --adapt: seconds in which a change of plan must save the joules that it costs.")
    ] = 300.0
    period: Annotated[
        float, Parameter(help="With --adapt: seconds after which the load is expected to repeat itself.")
    ] = 86400.0
    aim: Annotated[
        float | None,
        Parameter(help="With --adapt: accuracy (0..1) to be had above the floor, as long as devices bear the load."),
    ] = None

    def settings(self) -> "Settings":
        """What the loop is told. Raise UsageError where that cannot be."""
        from heterosis.control import Settings
        from heterosis.terms.errors import UsageError

        for name, value in {"every": self.every, "horizon": self.horizon, "period": self.period}.items():
            if not 0 < value < float("inf"):
                raise UsageError(f"--{name} must be above zero, got {value:g}")
        if self.aim is not None and not 0 < self.aim <= 1:
            raise UsageError(f"--aim is an accuracy from 0 to 1, got {self.aim:g}")
        return Settings(plan_every_s=self.every, horizon_s=self.horizon, period_s=self.period, aim=self.aim)


DEFAULT_LOOP = LoopOptions()


def floors_of(texts: "Sequence[str] | None") -> dict[str, float] | None:
    """Read ``CLASS=ACCURACY``. Raise UsageError where one is none."""
    from heterosis.terms.errors import UsageError

    found = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"--class-accuracy takes CLASS=ACCURACY, as in 1=0.97, got {text!r}") from None
    return None if texts is None else found


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CanaryOptions:
    """How a version of a model that replaces one that is served is tried first."""

    canary: Annotated[
        float,
        Parameter(help="Share of the requests (0..1) that a new version of a model gets first; 0 replaces it at once."),
    ] = 0.0
    canary_requests: Annotated[
        int, Parameter(help="With --canary: requests that it must have served before it is promoted.")
    ] = 100
    canary_agreement: Annotated[
        float | None,
        Parameter(help="With --canary: share of its answers (0..1) that must be the former version's as well."),
    ] = None

    def trial(self) -> "Trial | None":
        """What the server is told. Raise UsageError where that cannot be."""
        from heterosis.control.canary import Trial
        from heterosis.terms.errors import UsageError

        for name, share in {"canary": self.canary, "canary-agreement": self.canary_agreement}.items():
            if share is not None and not 0 <= share <= 1:
                raise UsageError(f"--{name} is a share from 0 to 1, got {share:g}")
        if self.canary_requests < 1:
            raise UsageError(f"--canary-requests must be at least 1, got {self.canary_requests}")
        if not self.canary:
            return None
        return Trial(share=self.canary, requests=self.canary_requests, agreement=self.canary_agreement)


NO_CANARY = CanaryOptions()

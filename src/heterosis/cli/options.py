"""Options that several verbs share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from heterosis.control import Settings

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

    def settings(self) -> "Settings":
        """What the loop is told. Raise UsageError where that cannot be."""
        from heterosis.control import Settings
        from heterosis.terms.errors import UsageError

        for name, value in {"every": self.every, "horizon": self.horizon, "period": self.period}.items():
            if not 0 < value < float("inf"):
                raise UsageError(f"--{name} must be above zero, got {value:g}")
        return Settings(plan_every_s=self.every, horizon_s=self.horizon, period_s=self.period)


DEFAULT_LOOP = LoopOptions()

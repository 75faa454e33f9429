"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

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

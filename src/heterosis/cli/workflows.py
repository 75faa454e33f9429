"""Opens workflows for the verbs: progress bars, and a word on what is kept when they are interrupted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from heterosis.cli.console import interruptible, progress, remark
from heterosis.cli.files import read_json

if TYPE_CHECKING:
    from heterosis.profiling import Settings
    from heterosis.workflow.chain import Workflow


@contextmanager
def open_workflow(  # noqa: PLR0913 - one for each option
    file: str,
    store: Path,
    budget: float | None = None,
    *,
    slo: float | None = None,
    accuracy: float | None = None,
    class_accuracy: Mapping[str, float] | None = None,
    settings: "Settings | None" = None,
    profile: Path | None = None,
) -> Iterator["Workflow"]:
    """Load a pipeline file, and give its way from there to a plan."""
    with interruptible(f"what was made and measured so far is kept in {store}, and the next time goes on from there"):
        from heterosis.profiling import Settings
        from heterosis.terms import Profile
        from heterosis.workflow.chain import Workflow

        settings = settings or Settings()
        if budget is not None:
            settings = msgspec.structs.replace(settings, budget_s=budget)
        given = None if profile is None else read_json(profile, Profile, "profile", "heterosis profile FILE --json")
        workflow = Workflow(
            file,
            store,
            latency_ms=slo,
            min_accuracy=accuracy,
            class_accuracy=class_accuracy,
            settings=settings,
            given=given,
            report=progress,
        )
        yield workflow
        for each in workflow.remarks:
            remark(each)

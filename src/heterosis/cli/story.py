"""`heterosis story`: one request's life, step by step, from a server's journal."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import Json, Run


def story(
    request: Annotated[
        str | None,
        Parameter(help="The request's name in the journal: r1 is the first that the run took. None: the plans' story."),
    ] = None,
    /,
    *,
    journal: Annotated[Path, Parameter(help="What `heterosis serve FILE --journal` wrote.")],
    run: Run = -1,
    json: Json = False,
) -> None:
    """Tell what happened to one request: every event, every decision and its reason, from its arrival to its end.

    Times are milliseconds after its arrival. Names of calls begin with the request's. Without a request, tell how the
    plan changed: what the loop did, which versions of models came and went, and why.

    ```
    heterosis serve ocr.py --journal day.journal
    heterosis story r17 --journal day.journal
    heterosis story --journal day.journal
    ```
    """
    from heterosis.scheduling import changes
    from heterosis.scheduling import story as tell
    from heterosis.serving.journal import read_journal
    from heterosis.terms.errors import UsageError

    records = read_journal(journal, run)
    lines = list(changes(records) if request is None else tell(records, request))
    if not lines and request is not None:
        raise UsageError(f"the journal {journal} has no request {request!r} in this run; they are named r1, r2, …")
    if json:
        print_json({"request": request, "steps": lines})
        return
    for line in lines:
        output().print(line, markup=False)

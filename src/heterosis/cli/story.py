"""`heterosis story`: one request's life, step by step, from a server's journal."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json
from heterosis.cli.options import Json, Run


def story(
    request: Annotated[str, Parameter(help="The request's name in the journal: r1 is the first that the run took.")],
    /,
    *,
    journal: Annotated[Path, Parameter(help="What `heterosis serve FILE --journal` wrote.")],
    run: Run = -1,
    json: Json = False,
) -> None:
    """Tell what happened to one request: every event, every decision and its reason, from its arrival to its end.

    Times are milliseconds after its arrival. Names of calls begin with the request's.

    ```
    heterosis serve ocr.py --journal day.journal
    heterosis story r17 --journal day.journal
    ```
    """
    from heterosis.scheduling import story as tell
    from heterosis.serving.journal import read_journal
    from heterosis.terms.errors import UsageError

    lines = list(tell(read_journal(journal, run), request))
    if not lines:
        raise UsageError(f"the journal {journal} has no request {request!r} in this run; they are named r1, r2, …")
    if json:
        print_json({"request": request, "steps": lines})
        return
    for line in lines:
        output().print(line, markup=False)

"""`heterosis replay`: a journal through the scheduling core again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json, progress
from heterosis.cli.options import Json, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heterosis.scheduling import Record


def replay(
    journal: Annotated[Path, Parameter(help="What `heterosis serve FILE --journal` wrote.")],
    /,
    *,
    run: Run = -1,
    json: Json = False,
) -> None:
    """Let the simulator's driver handle every event of a server's run again: all effects must be the same.

    Exit code 1, and the first difference, where they are not.

    ```
    heterosis replay day.journal
    ```
    """
    import msgspec

    from heterosis.serving.journal import read_journal
    from heterosis.simulation import replay as again
    from heterosis.terms.errors import HeterosisError

    steps = 0
    with progress("Replaying") as step:

        def counted() -> "Iterator[Record]":
            nonlocal steps
            for steps, record in enumerate(read_journal(journal, run), 1):
                if steps % 1000 == 0:
                    step(done=steps)
                yield record

        found = again(counted())
    if json:
        print_json({"steps": steps, "same": found is None, "first_difference": found})
    elif found is None:
        output().print(f"{steps} events, the same effects", markup=False)
    if found is not None:
        recorded, replayed = (msgspec.json.encode(each.effects).decode() for each in (found.recorded, found.replayed))
        event = msgspec.json.encode(found.recorded.event).decode()
        raise HeterosisError(
            f"the effects differ at step {found.step}, {event}: recorded {recorded}, replayed {replayed}"
        )

"""The verbs, and how every one of them ends.

Exit codes: 0 done; 1 it failed; 2 it was asked for wrongly; 130 it was interrupted. What a verb needs is imported only
when it runs.
"""

import os
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError

from heterosis import __version__
from heterosis.cli.bench import bench
from heterosis.cli.catalogue import catalogue
from heterosis.cli.check import check
from heterosis.cli.console import Interrupted, complain
from heterosis.cli.demo import demo
from heterosis.cli.devices import devices
from heterosis.cli.pack import pack
from heterosis.cli.plan import plan
from heterosis.cli.pool import pool
from heterosis.cli.profile import profile
from heterosis.cli.profiles import import_table, merge
from heterosis.cli.rehearse import rehearse
from heterosis.cli.replay import replay
from heterosis.cli.serve import serve
from heterosis.cli.simulate import simulate
from heterosis.cli.status import status
from heterosis.cli.story import story
from heterosis.cli.study import study
from heterosis.cli.variants import variants
from heterosis.cli.worker import worker
from heterosis.terms.errors import HeterosisError, StageError, UsageError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

VERBS: tuple[Callable[..., None], ...] = (
    check,
    devices,
    catalogue,
    variants,
    profile,
    plan,
    pool,
    simulate,
    rehearse,
    serve,
    pack,
    worker,
    status,
    story,
    replay,
    bench,
    demo,
    study,
)

UNDER: tuple[tuple[str, Callable[..., None]], ...] = (("profile", merge), ("profile", import_table))
"""Verbs of what a verb makes."""

EPILOGUE = """First `heterosis check FILE`, then `heterosis plan FILE --rate 2` and `heterosis serve FILE --rate 2`.
Each verb does what has to come before it, and keeps what it made in the store, `.heterosis`."""


def make_app() -> App:
    """Return the app with its verbs."""
    app = App(
        name="heterosis",
        help="Serve multi-stage inference pipelines on mixed hardware: latency SLOs met with the least energy.",
        help_epilogue=EPILOGUE,
        version=__version__,
        help_format="markdown",
    )
    for position, verb in enumerate(VERBS):
        app.command(verb, help_epilogue="", sort_key=position)
    for of, verb in UNDER:
        app[of].command(verb, help_epilogue="")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Expected errors are said on standard error in one paragraph."""
    try:
        make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_none")
        sys.stdout.flush()
    except (CycloptsError, HeterosisError) as error:
        return _say_why(error, arguments)
    except Interrupted as interrupted:
        complain(str(interrupted), label="interrupted")
        return INTERRUPTED
    except KeyboardInterrupt:
        complain("nothing is left half done", label="interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough; keep the interpreter from saying so at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return 0


def _say_why(error: CycloptsError | HeterosisError, arguments: Sequence[str]) -> int:
    """Complain about an expected error, and return the exit code for it."""
    if isinstance(error, CycloptsError):
        verb = arguments[0] if arguments and not arguments[0].startswith("-") else ""
        complain(f"{error} See: heterosis {verb} --help")
        return MISUSED
    place = ""
    if isinstance(error, StageError):
        from heterosis.workflow.blame import where

        place = where(error)
    complain(f"{error}{place}")
    return MISUSED if isinstance(error, UsageError) else FAILED

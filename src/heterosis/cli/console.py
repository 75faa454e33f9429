"""What the verbs print with: results on standard output; progress and complaints on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console


WIDE = 1000


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The user stopped a verb; the message says what is kept."""


def output() -> "Console":
    """The console of results. What is not read on a terminal is not cut to the width of one."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)


def remark(text: str) -> None:
    """Say something on the side, on standard error."""
    _aside().print(text, style="dim", markup=False)


def complain(text: str, label: str = "error") -> None:
    """Say in one paragraph, on standard error, why a command did not do what it was asked to."""
    from rich.text import Text

    _aside().print(Text.assemble((f"{label}: ", "bold red"), " ".join(text.split())))


def print_json(value: Any) -> None:
    """Write a value as JSON on standard output."""
    encoded = msgspec.json.encode(value, enc_hook=plain)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Bring into a form for people and JSON what a pipeline may return: small arrays whole, others by their shape."""
    import numpy as np

    if isinstance(value, np.ndarray):
        small = value.size <= 100  # noqa: PLR2004 - what still fits the screen
        return value.tolist() if small else f"{value.dtype} array of shape {list(value.shape)}"
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no form outside Python")


def readable(value: Any) -> str:
    """Write what a pipeline returned for people: text as it is, a list one item a line, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    try:
        return msgspec.json.format(msgspec.json.encode(value, enc_hook=plain), indent=2).decode()
    except (TypeError, ValueError):
        return repr(value)


@contextmanager
def progress(what: str, total: float | None = None) -> Iterator[Callable[..., None]]:
    """Draw a progress bar while inside, where standard error is a terminal.

    Gives a function to be called after each step: ``step(text, done=…, total=…)``, all of them optional.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = _aside()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", style="dim"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=total, now="")

        def step(text: str = "", *, done: float | None = None, total: float | None = None) -> None:
            bar.update(task, completed=done, advance=1 if done is None else None, total=total, now=text)

        yield step


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Say what is kept where the user interrupts what is inside."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept) from None


def _aside() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)

"""Who runs the calls of a pipeline function: the same function is called directly, traced, and served."""

from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from heterosis.pipeline.stage import Stage

T = TypeVar("T")


class Caller(Protocol):
    """Runs calls of stages."""

    async def call(self, stage: "Stage", args: tuple[Any, ...]) -> Any:
        """Run one call and return the stage's result."""
        ...


_caller: ContextVar[Caller | None] = ContextVar("heterosis_caller", default=None)
frontier: ContextVar[tuple[int, ...]] = ContextVar("heterosis_frontier", default=())
"""The calls that ended last on this branch of a traced request; each task sees its own."""


def current_caller() -> Caller:
    """Return who runs the calls here: a new in-process caller where nobody else was set."""
    caller = _caller.get()
    if caller is None:
        from heterosis.pipeline.local import default_caller

        caller = default_caller()
    return caller


@contextmanager
def calls_run_by(caller: Caller) -> Iterator[None]:
    """Let ``caller`` run every call made inside."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


async def gather(*calls: Awaitable[T] | Iterable[Awaitable[T]]) -> list[T]:
    """Run calls side by side and return their results in order.

    Takes awaitables, or iterables of them, also mixed; an awaitable may itself be a ``gather``. The first error cancels
    the rest and is raised. Branches that meet here meet in the traced graph too (``asyncio.gather`` would hide that).
    """
    import asyncio  # workers call no stages, and can do without its ten megabytes

    before = frontier.get()
    tasks: list[asyncio.Future[tuple[T, tuple[int, ...]]]] = []
    try:
        for call in calls:
            branches = (call,) if isinstance(call, Awaitable) else call
            tasks.extend(asyncio.ensure_future(_branch(branch)) for branch in branches)
        ended = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    reached = {call for _, ends in ended if ends != before for call in ends}
    if reached:
        frontier.set(tuple(sorted(reached)))
    return [result for result, _ in ended]


async def _branch(call: Awaitable[T]) -> tuple[T, tuple[int, ...]]:
    return await call, frontier.get()

"""Runs one function on many arguments, in processes of their own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import closing
from typing import Any, TypeVar

from heterosis.studies.keeping import Kept
from heterosis.studies.study import Options, Step

T = TypeVar("T")


def starmap(
    function: Callable[..., T], argument_tuples: Sequence[tuple[Any, ...]], options: Options, step: Step
) -> list[T]:
    """Call a function with each tuple of arguments; the results in the order of the arguments.

    ``options.jobs`` processes run at a time, 0 for one a core; 1 runs here, one after the other. The function must be
    one that can be imported by name. Calls begin in order, so give the longest first. ``step`` is told of each call
    that ended. Results are kept in ``options.keep``, and what is there already is not run again (see `Kept`). The first
    exception ends everything, and an interruption (Ctrl-C) too: no process is left behind.
    """
    kept = None if options.keep is None else Kept(options.keep, function)
    results: dict[int, T] = {}
    for at, arguments in enumerate(argument_tuples):
        for result in kept.find(arguments) if kept is not None else ():
            results[at] = result
    left = [at for at in range(len(argument_tuples)) if at not in results]
    step(done=len(results), total=len(argument_tuples))
    count = min(options.jobs or os.cpu_count() or 1, len(left))
    with closing(_called(function, {at: argument_tuples[at] for at in left}, count)) as called:
        for at, result in called:
            results[at] = result
            if kept is not None:
                kept.keep(argument_tuples[at], result)
            step()
    return [results[at] for at in range(len(argument_tuples))]


def _called(
    function: Callable[..., T], arguments: Mapping[int, tuple[Any, ...]], count: int
) -> Generator[tuple[int, T]]:
    """Give each result, under the number of its arguments, as soon as it is there."""
    if count <= 1:
        for at, each in arguments.items():
            yield at, function(*each)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        try:  # from the first process on, which takes its time to start
            futures: dict[Future[T], int] = {pool.submit(function, *each): at for at, each in arguments.items()}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

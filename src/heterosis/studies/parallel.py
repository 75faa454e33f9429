"""Runs one function on many arguments, in processes of their own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from heterosis.studies.study import Step

T = TypeVar("T")


def starmap(function: Callable[..., T], argument_tuples: Sequence[tuple[Any, ...]], jobs: int, step: Step) -> list[T]:
    """Call a function with each tuple of arguments; the results in the order of the arguments.

    ``jobs`` processes run at a time, 0 for one a core; 1 runs here, one after the other. The function must be one that
    can be imported by name. Calls begin in order, so give the longest first. ``step`` is told of each call that ended.
    The first exception ends everything, and an interruption (Ctrl-C) too: no process is left behind.
    """
    count = min(jobs or os.cpu_count() or 1, len(argument_tuples))
    step(done=0, total=len(argument_tuples))
    if count <= 1:
        return [_called(function, arguments, step) for arguments in argument_tuples]
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        futures: list[Future[T]] = [pool.submit(function, *arguments) for arguments in argument_tuples]
        try:
            for future in as_completed(futures):
                future.result()
                step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        return [future.result() for future in futures]


def _called(function: Callable[..., T], arguments: tuple[Any, ...], step: Step) -> T:
    result = function(*arguments)
    step()
    return result


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

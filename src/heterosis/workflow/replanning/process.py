"""A planner in a process of its own, as its user sees it."""

import asyncio
import contextlib
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Self

import msgspec

from heterosis.control import Proposal
from heterosis.control import Question as LoopQuestion
from heterosis.planning import InfeasibleError
from heterosis.terms.errors import HeterosisError, UsageError
from heterosis.workflow.replanning.questions import (
    LENGTH,
    Failed,
    FleetQuestion,
    MachineQuestion,
    Question,
    Replanned,
    decode_answer,
    encode_frame,
)

CHILD = "from heterosis.workflow.replanning.answering import main; main()"


@dataclass(frozen=True, slots=True)
class _Child:
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class PlannerProcess:
    """Plans beside an event loop, which waits for nothing but its turn to send and to receive.

    One question is answered at a time; more of them wait. To cancel a task that waits in `plan` ends the process, since
    a solver cannot be stopped otherwise; the next question starts another. The process has low priority, knows nothing
    but what it is asked, and ends with its user. Each search begins where the last one of the same pipelines ended.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: _Child | None = None
        self._turn = asyncio.Lock()
        self._latency: dict[tuple[str, ...], float | None] = {}
        """Share of the SLO that the last plan was made for, by pipelines."""

    async def __aenter__(self) -> Self:
        """Start the process."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self.close()

    @property
    def pid(self) -> int | None:
        """The process that runs, if any."""
        return None if self._child is None else self._child.process.pid

    async def start(self) -> None:
        """Start the process, so that the first plan need not wait for that."""
        async with self._turn:
            await self._running()

    async def respond(self, question: LoopQuestion) -> Proposal:
        """Answer what the loop of a server asks. Raise HeterosisError where there is no plan, or the process failed."""
        async with self._turn:
            found = await self._answer(question)
        assert isinstance(found, Proposal)  # noqa: S101 - what such a question is answered with
        return found

    async def plan(self, question: FleetQuestion | MachineQuestion) -> Replanned:
        """Ask, and wait for the plan.

        Raise InfeasibleError with the nearest that is possible, or UsageError, as the planner does, and HeterosisError
        where its process ended or failed.
        """
        async with self._turn:
            if isinstance(question, FleetQuestion):
                pipelines = tuple(each.graph.pipeline for each in question.task.workloads)
                question = msgspec.structs.replace(question, latency=question.latency or self._latency.get(pipelines))
                found = await self._replanned(question)
                self._latency[pipelines] = found.latency
                return found
            return await self._replanned(question)

    async def _replanned(self, question: Question) -> Replanned:
        found = await self._answer(question)
        assert isinstance(found, Replanned)  # noqa: S101 - as above
        return found

    async def close(self) -> None:
        """End the process, whatever it does."""
        child, self._child = self._child, None
        if child is None:
            return
        child.writer.close()
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        await child.process.wait()

    async def _running(self) -> _Child:
        if self._child is None or self._child.process.returncode is not None:
            ours, theirs = socket.socketpair()
            with theirs:  # a session of its own: Ctrl-C is for who serves, not for it
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", CHILD, stdin=theirs.fileno(), start_new_session=True
                )
            self._child = _Child(process, *await asyncio.open_unix_connection(sock=ours))
        return self._child

    async def _answer(self, question: Question) -> Replanned | Proposal:
        child = await self._running()
        answer = None
        try:
            child.writer.write(encode_frame(question))
            await child.writer.drain()
            (length,) = LENGTH.unpack(await child.reader.readexactly(LENGTH.size))
            answer = decode_answer(await child.reader.readexactly(length))
        except (ConnectionError, asyncio.IncompleteReadError):
            code = await child.process.wait()
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            raise HeterosisError(f"planner process {child.process.pid} {how}; the next plan starts another") from None
        finally:
            if answer is None:
                await self.close()
        if isinstance(answer, Failed):
            raise _error(answer)
        return answer


def _error(failed: Failed) -> HeterosisError:
    if failed.binding is not None:
        return InfeasibleError(failed.message, failed.binding, failed.nearest)
    return UsageError(failed.message) if failed.usage else HeterosisError(failed.message)

"""What a planner's process is asked and what it answers: MessagePack in frames, each with its length before it."""

import struct
from collections.abc import Mapping

import msgspec

from heterosis.control import Proposal
from heterosis.control import Question as LoopQuestion
from heterosis.planning import Nearest, Snapshot, Verdict
from heterosis.planning.fleet import Task
from heterosis.planning.fleet.changes import Decision
from heterosis.planning.fleet.task import Combination
from heterosis.terms import Plan

LENGTH = struct.Struct("!Q")
"""How the length of a frame is written."""

Accuracies = Mapping[Combination, float]
"""End-to-end accuracy (0..1) as measured, by the variants that served."""


class FleetQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="fleet"):
    """Asks for a plan for this task, and whether it is worth changing to.

    A workload's judge is a function and cannot travel: leave it out, and give what is known in ``accuracies``, by
    pipeline. What is not known there counts as if the stages' losses were independent.
    """

    task: Task
    now: Plan | None = None
    """The plan in force, if any: its devices are preferred, and the change from it is decided on."""
    load: Mapping[str, float] | None = None
    """Calls per second of each stage during the change; by default what the new plan is for."""
    planner: str = "heterosis"
    policy: str = "heterosis"
    accuracies: Mapping[str, Accuracies] = {}
    latency: float | None = None
    """Share of the SLO that the last plan was made for: where the search for the next one begins (see `verified`).
    `PlannerProcess` fills it in."""


class MachineQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="machine"):
    """Asks for a plan for the instances of this machine (see `heterosis.planning.plan`)."""

    snapshot: Snapshot
    policy: str = "heterosis"
    accuracies: Accuracies = {}
    """As in `FleetQuestion`."""


Question = FleetQuestion | MachineQuestion | LoopQuestion


class Replanned(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """A plan that was tried in the simulator."""

    plan: Plan
    decision: Decision | None
    """Whether to change from the plan in force, and by which steps; None where none was given, or for a machine."""
    verdict: Verdict | None
    """What it did when tried, where that is kept apart from the plan's prediction."""
    latency: float | None
    """Share of the SLO that it was made for."""
    solve_s: float
    """CPU time that it took, in the planner's process."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """There is no plan; with what makes an `InfeasibleError`, where nothing is possible."""

    message: str
    usage: bool
    """Whether what was asked for is at fault, and not the planner."""
    binding: tuple[str, ...] | None = None
    nearest: Nearest = Nearest()


Answer = Replanned | Proposal | Failed


def encode_frame(message: Question | Answer) -> bytes:
    """Write a message, its length before it."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


_questions = msgspec.msgpack.Decoder(Question)
_answers = msgspec.msgpack.Decoder(Answer)


def decode_question(body: bytes) -> Question:
    """Read the body of a frame that `PlannerProcess` wrote."""
    found: Question = _questions.decode(body)
    return found


def decode_answer(body: bytes) -> Answer:
    """Read the body of a frame that the planner's process wrote."""
    found: Answer = _answers.decode(body)
    return found

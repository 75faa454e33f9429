"""The planner's process: answers one question after the other, until its standard input, a socket, is closed."""

import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import msgspec

from heterosis.control import NoPlanError, Proposal, respond
from heterosis.control import Question as LoopQuestion
from heterosis.planning import InfeasibleError
from heterosis.planning import plan as plan_machine
from heterosis.planning.fleet import Task, Workload, to_plan
from heterosis.planning.fleet.changes import worthwhile
from heterosis.terms import Variant, VariantSet
from heterosis.terms.errors import HeterosisError, UsageError
from heterosis.workflow.fleets import plan_fleet
from heterosis.workflow.replanning.following import Following
from heterosis.workflow.replanning.questions import (
    LENGTH,
    Accuracies,
    Answer,
    Failed,
    FleetQuestion,
    MachineQuestion,
    Question,
    Replanned,
    decode_question,
    encode_frame,
)
from heterosis.workflow.verification import simulated

NICE = 10
"""Planning gives way to serving."""


def main() -> None:
    """Answer until the channel is closed."""
    os.nice(NICE)
    with socket.socket(fileno=0) as channel, channel.makefile("rb") as asked:
        while (question := _next(asked)) is not None:
            try:
                channel.sendall(encode_frame(answer(question)))
            except ConnectionError:
                return


def _next(asked: BinaryIO) -> Question | None:
    head = asked.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = asked.read(length)
    return decode_question(body) if len(body) == length else None


def answer(question: Question) -> Answer:
    """Plan; whatever goes wrong is an answer, too."""
    begin = time.process_time()
    try:
        made = _ANSWERS[type(question)](question)
    except NoPlanError as error:
        return Failed(message=str(error), usage=False)
    except InfeasibleError as error:
        return Failed(message=str(error), usage=True, binding=error.binding, nearest=error.nearest)
    except HeterosisError as error:
        return Failed(message=str(error), usage=isinstance(error, UsageError))
    except Exception as error:  # noqa: BLE001 - who asked is told; the next question may be another
        traceback.print_exc()
        return Failed(message=f"the planner failed: {type(error).__name__}: {error}", usage=False)
    return msgspec.structs.replace(made, solve_s=time.process_time() - begin)


def _fleet(question: FleetQuestion) -> Replanned:
    task = judged(question.task, question.accuracies)
    found = plan_fleet(task, question.planner, begin=question.latency)
    now = question.now
    prefer = [] if now is None else [(each.node, each.device) for each in now.placements]
    plan = to_plan(task, found.allotment, policy=question.policy, prefer=prefer)
    return Replanned(
        plan=plan,
        decision=None if now is None else worthwhile(task, now, plan, load=question.load),
        verdict=found.verdict,
        latency=found.latency,
        solve_s=0.0,
    )


_following: dict[tuple[str, ...], Following] = {}
"""By pipelines."""


def _loop(question: LoopQuestion) -> Proposal:
    pipelines = tuple(each.graph.pipeline for each in question.task.workloads)
    make = _following.setdefault(pipelines, Following(question.latency))
    return respond(question, lambda task: make(judged(task, question.accuracies)))


def _machine(question: MachineQuestion) -> Replanned:
    snapshot = question.snapshot
    judge = _judge(snapshot.variants, question.accuracies) if question.accuracies else None
    plan = plan_machine(snapshot, judge=judge, verify=simulated(snapshot.graph), policy=question.policy)
    return Replanned(plan=plan, decision=None, verdict=None, latency=None, solve_s=0.0)


_ANSWERS: Mapping[type[Question], Callable[[Any], Replanned | Proposal]] = {
    FleetQuestion: _fleet,
    MachineQuestion: _machine,
    LoopQuestion: _loop,
}


def judged(task: Task, accuracies: Mapping[str, Accuracies]) -> Task:
    """Give workloads a judge that knows these accuracies; of others it takes losses to be independent."""

    def of(workload: Workload) -> Workload:
        known = accuracies.get(workload.graph.pipeline)
        return msgspec.structs.replace(workload, judge=_judge(workload.variants, known)) if known else workload

    return msgspec.structs.replace(task, workloads=tuple(map(of, task.workloads)))


def _judge(variants: VariantSet, known: Accuracies) -> Callable[[Mapping[str, Variant]], float]:
    reference = variants.reference_accuracy or 1.0
    by_names = {frozenset(combination): accuracy for combination, accuracy in known.items()}

    def accuracy(chosen: Mapping[str, Variant]) -> float:
        found = by_names.get(frozenset((stage, variant.name) for stage, variant in chosen.items()))
        if found is not None:
            return found
        product = reference
        for variant in chosen.values():
            product *= 1.0 if variant.accuracy is None else variant.accuracy / reference
        return product

    return accuracy

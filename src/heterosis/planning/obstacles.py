"""What keeps an option out whatever the other stages choose."""

from heterosis.planning.options import Candidate
from heterosis.planning.problem import TOLERANCE, Limits, Problem
from heterosis.planning.wait import HIGHEST


def obstacle(problem: Problem, limits: Limits, option: Candidate) -> str | None:
    """Return why an option cannot be part of any plan within the limits; None where it may be."""
    memory_bytes = option.device.memory_bytes
    if limits.memory and memory_bytes and option.memory_bytes > memory_bytes:
        return f"needs {option.memory_bytes / 1e6:.0f} MB, {option.device.name} has {memory_bytes / 1e6:.0f} MB"
    best = problem.best_accuracy
    floor, reference = limits.min_accuracy, problem.reference_accuracy
    if floor and reference:
        accuracy = reference * option.relative_accuracy
        for stage, most in best.items():
            accuracy *= most if stage != option.stage else 1.0
        if accuracy < floor * (1 - TOLERANCE):
            return f"accuracy {accuracy:.4g} below the floor of {floor:.4g}"
    busy = limits.rate_rps * option.load_ms / 1e3
    if busy > HIGHEST * (1 + TOLERANCE):
        return f"keeps its slots busy {busy:.0%} of the time, at most {HIGHEST:.0%} can be planned"
    if option.latency_ms > limits.latency_ms * (1 + TOLERANCE):
        return f"too slow alone: {option.latency_ms:.0f} ms > {limits.latency_ms:.0f} ms"
    fastest_ms = problem.fastest_ms(option)
    if fastest_ms > limits.latency_ms * (1 + TOLERANCE):
        return (
            f"too slow: {option.latency_ms:.0f} ms, and with the fastest of the other stages {fastest_ms:.0f} ms > "
            f"{limits.latency_ms:.0f} ms"
        )
    return None


def possible(problem: Problem, limits: Limits) -> Problem:
    """Return the problem without the options that face an obstacle."""
    for stage, options in problem.candidates.items():
        problem = problem.only(stage, [each for each in options if obstacle(problem, limits, each) is None])
        if not problem.candidates[stage]:
            break
    return problem

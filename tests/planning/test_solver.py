"""Mixed-integer programs, and when the search for their optimum stops."""

import numpy as np
import pytest

from heterosis.planning import solver
from heterosis.planning.solver import Program, Row
from heterosis.terms.errors import HeterosisError


def market_split(slack: float) -> tuple[Program, Row]:
    """Divide forty customers so that three products come out even: small, and next to impossible to search through.

    Each product may miss its half by so much; the cost is what it misses.
    """
    random = np.random.default_rng(1)
    products, customers = 3, 40
    weights = random.integers(0, 100, (products, customers)).astype(float)
    program = Program(
        np.zeros(customers + 2 * products),
        np.concatenate((np.ones(customers), np.full(2 * products, slack))),
        customers,
    )
    for number in range(products):
        row = program.row()
        row[:customers] = weights[number]
        row[customers + 2 * number : customers + 2 * number + 2] = 1, -1
        half = weights[number].sum() // 2 + 0.5
        program.add(row, half, half)
    cost = program.row()
    cost[customers:] = 1
    return program, cost


def test_a_search_without_end_stops_by_its_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found by then stands, and is the same each time: it has nothing to do with how fast the machine is."""
    monkeypatch.setattr(solver, "MOST_NODES", 200)
    answers = []
    for _ in range(2):
        program, cost = market_split(1000.0)
        answers.append(program.minimise(cost))
    assert answers[0] is not None
    assert answers[1] is not None
    assert answers[0].tolist() == answers[1].tolist()


def test_a_large_program_gets_fewer_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes longer: what is limited is the work."""
    monkeypatch.setattr(solver, "MOST_WORK", 46 * 50)
    program, cost = market_split(0.0)
    with pytest.raises(HeterosisError, match="stopped without an answer"):
        program.minimise(cost)

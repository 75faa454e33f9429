"""Grams by the hour, and floors of accuracy that follow the grid."""

from itertools import product
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterosis.planning.fleet import power_w, to_plan
from heterosis.studies.energy import run
from heterosis.studies.energy.carbon import (
    CALIFORNIA,
    CARBON,
    HOURS,
    RAISES,
    TOLERANCE,
    Choice,
    Grid,
    change_j,
    grams,
    joules_by_epoch,
    least_carbon,
    menu,
    read_grids,
)
from heterosis.studies.energy.competitors import OURS, competitors
from heterosis.studies.energy.control import EPOCH_S, Course, raised
from heterosis.studies.energy.setting import PIPELINES, pipeline, workloads
from heterosis.studies.study import Options, silent
from heterosis.terms.errors import UsageError

RATES = {"traffic": 8.0, "documents": 6.0}
FLOORS = [pipeline(name).slo.min_accuracy or 0.0 for name in PIPELINES]


def planned(*rates: dict[str, float]) -> Course:
    """A course that plans each epoch for its rates."""
    tasks = tuple(competitors()[OURS].task(workloads(each)) for each in rates)
    found = [competitors()[OURS].plan(task) for task in tasks]
    allotments = tuple(each for each in found if each is not None)
    plan = to_plan(tasks[0], allotments[0])
    return Course(first=plan, changes=(), allotments=allotments, tasks=tasks, starting_j=0.0, solve_s=0.0)


@pytest.fixture(scope="module")
def choices() -> list[list[Choice]]:
    """What one hour can be, three times."""
    return menu(competitors()[OURS], [RATES]) * 3


def test_joules_go_to_the_hours_that_spend_them() -> None:
    """Simulated joules that are as modelled come back hour by hour, at the rates planned for and at half of them."""
    course = planned(RATES, {"traffic": 30.0, "documents": 20.0})
    watts = [power_w(task, allotment) or 0.0 for task, allotment in zip(course.tasks, course.allotments, strict=True)]
    calls = [
        sum(host.per_s * (host.option.energy_j or 0.0) for host in allotment.hosted())
        for allotment in course.allotments
    ]
    rates = [RATES, {"traffic": 15.0, "documents": 10.0}]
    dynamic = EPOCH_S * (calls[0] + calls[1] / 2)
    idle = EPOCH_S * (sum(watts) - sum(calls))
    found = joules_by_epoch(course, rates, {"idle": idle, "dynamic": dynamic}, power_off=True)
    assert found == pytest.approx([EPOCH_S * watts[0], EPOCH_S * (watts[1] - calls[1] / 2)])
    always_on = joules_by_epoch(course, rates, {"idle": idle, "dynamic": 0.0}, power_off=False)
    assert always_on == pytest.approx([idle / 2, idle / 2])


def test_a_kwh_emits_the_intensity_of_its_hour() -> None:
    """Grams add up over the hours; hours that do not match are refused."""
    grid = Grid(name="x", g_per_kwh=(100.0, 300.0))
    assert grams([3.6e6, 1.8e6], grid) == pytest.approx(250)
    with pytest.raises(ValueError, match="zip"):
        grams([1.0], grid)


def test_a_menu_costs_more_the_more_accurate(choices: list[list[Choice]]) -> None:
    """Every choice keeps its raised floors; a plan for the floor itself is among them; changes cost joules."""
    of = choices[0]
    assert 0.0 in {choice.raised for choice in of} <= set(RAISES)
    assert [choice.watts for choice in of] == sorted(choice.watts for choice in of)
    for choice in of:
        for accuracy, floor in zip(choice.accuracy, FLOORS, strict=True):
            assert accuracy >= floor + choice.raised - TOLERANCE
    assert change_j(competitors()[OURS], [RATES], choices[:1]) > 0


@settings(max_examples=20, deadline=None)
@given(
    g=st.lists(st.floats(50, 400), min_size=3, max_size=3),
    loads=st.lists(st.floats(0.5, 1.5), min_size=3, max_size=3),
    change=st.sampled_from([0.0, 2.0, 50.0]),
)
def test_floors_are_the_best_of_all(
    choices: list[list[Choice]], g: list[float], loads: list[float], change: float
) -> None:
    """As brute force finds: fewest grams with the mean accuracy of each pipeline kept, changes counted."""
    rates = [{name: rate * load for name, rate in RATES.items()} for load in loads]

    def cost(way: tuple[Choice, ...]) -> float:
        changes = sum(
            change / EPOCH_S * at
            for at, one, other in zip(g[1:], way, way[1:], strict=False)
            if one.raised != other.raised
        )
        return changes + sum(choice.watts * at for choice, at in zip(way, g, strict=True))

    def kept(way: tuple[Choice, ...]) -> bool:
        return all(
            sum(load * choice.accuracy[number] for load, choice in zip(loads, way, strict=True)) / sum(loads)
            >= floor - 2 * TOLERANCE
            for number, floor in enumerate(FLOORS)
        )

    found = least_carbon(choices, rates, g, change)
    assert found is not None
    way = tuple(next(each for each in of if each.raised == by) for of, by in zip(choices, found, strict=True))
    assert kept(way)
    best = min(cost(each) for each in product(*choices) if kept(each))
    assert cost(way) <= best * (1 + 2e-3)


def test_accuracy_goes_to_the_clean_hours(choices: list[list[Choice]]) -> None:
    """Where intensity differs much, floors fall while the grid is dirty and rise while it is clean; else they stay."""
    dirty, clean, usual = least_carbon(choices, [RATES] * 3, [1000.0, 50.0, 300.0]) or (0, 0, 0)
    assert dirty <= usual <= clean
    assert dirty < 0 < clean
    assert least_carbon(choices, [RATES] * 3, [300.0, 280.0, 320.0], change_j=1e6) == (0.0, 0.0, 0.0)
    low = [[choice for choice in of if choice.raised < 0] for of in choices]
    assert least_carbon(low, [RATES] * 3, [100.0] * 3) is None


def test_raised_floors_are_added_and_nothing_else() -> None:
    """No raise leaves the workloads as they are."""
    asked = workloads(RATES)
    assert raised(asked, 0.0) == asked
    for before, after, floor in zip(asked, raised(asked, 0.03), FLOORS, strict=True):
        assert after.slo.min_accuracy == pytest.approx(floor + 0.03)
        assert msgspec.structs.replace(after.slo, min_accuracy=floor) == before.slo


def test_series_are_read_from_the_regions_midnight_on(tmp_path: Path) -> None:
    """California's begins 8 hours after the file; a file that is too short, no numbers, or no file is refused."""
    assert read_grids(None) == (CALIFORNIA,)
    assert len(CALIFORNIA.g_per_kwh) == HOURS
    with pytest.raises(UsageError, match="--data names the folder"):
        read_grids(tmp_path)
    folder = tmp_path / "carbon"
    folder.mkdir()
    hours = "\n".join(map(str, range(48)))
    (folder / "a.csv").write_text(f"CISO_March\n{hours}\n")
    (folder / "b.csv").write_text(f"Elsewhere\n{hours}\n")
    first, second = read_grids(tmp_path)
    assert (first.name, first.g_per_kwh) == ("CISO_March", tuple(range(8, 32)))
    assert (second.name, second.g_per_kwh) == ("Elsewhere", tuple(range(24)))
    (folder / "b.csv").write_text("Elsewhere\n1\n2\n")
    with pytest.raises(UsageError, match="no whole day"):
        read_grids(tmp_path)
    (folder / "b.csv").write_text("Elsewhere\nmuch\n")
    with pytest.raises(UsageError, match="no series"):
        read_grids(tmp_path)


def test_the_typed_in_day_is_the_published_one(published_data: Path) -> None:
    """And comes first of the regions."""
    grids = read_grids(published_data)
    assert grids[0] == CALIFORNIA
    assert len(grids) == 3
    assert all(len(grid.g_per_kwh) == HOURS for grid in grids)


def test_an_unknown_planner_is_refused() -> None:
    """With the names that there are, the carbon-aware one among them."""
    with pytest.raises(UsageError, match=CARBON):
        run(Options(planners=("cheapest",)), silent)

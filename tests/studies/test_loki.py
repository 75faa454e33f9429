"""Loki's setting: what is read, planned and counted. Figures of the published profile where that is there."""

from pathlib import Path

import numpy as np
import pytest

from heterosis.arrivals import poisson
from heterosis.planning.fleet import Objective, accuracy, power_w, to_plan
from heterosis.planning.fleet.planners import make_planner
from heterosis.planning.fleet.planners.loki import loki
from heterosis.studies.loki import Row, bound_rps, capacity, draw, run
from heterosis.studies.loki.capacity import REFERENCE, REFERENCE_PART, reference_cars
from heterosis.studies.loki.day import DAY_S, GRID, MEAN_RPS, PEAK, Planned, changes, planned_once, smoothed, tuned
from heterosis.studies.loki.published import CLASSIFIERS, DETECTORS, Published, read
from heterosis.studies.loki.rows import bound_j, planned, simulated
from heterosis.studies.loki.setting import BEST, CLASSIFY, DETECT, frames, make_task
from heterosis.studies.loki.trial import simulate
from heterosis.studies.study import Options, open_study, silent
from heterosis.terms import Latency
from heterosis.terms.errors import UsageError


def made_up() -> Published:
    """A profile of round figures: the more accurate a model, the slower; weak detectors find fewer cars."""

    def times(item_ms: float) -> dict[int, Latency]:
        means = {batch: 2 + item_ms * batch for batch in (1, 2, 4, 8)}
        return {
            batch: Latency(mean_ms=mean, p50_ms=mean, p95_ms=1.02 * mean, p99_ms=1.05 * mean)
            for batch, mean in means.items()
        }

    detectors = {name: times(5.0 * (number + 1)) for number, name in enumerate(DETECTORS)}
    classifiers = {name: times(1.0 + 0.5 * number) for number, name in enumerate(CLASSIFIERS)}
    cars = {name: 1.0 + 0.5 * number for number, name in enumerate(DETECTORS)}
    return Published(times=detectors | classifiers, objects=cars, cars=cars)


def test_without_the_profile_the_study_refuses_and_says_why() -> None:
    """It is not ours to ship."""
    with pytest.raises(UsageError, match="not ours to ship"):
        open_study("loki").run(Options(), silent)


def test_a_folder_without_the_profile_is_named(tmp_path: Path) -> None:
    """And so are columns and models that are missing."""
    with pytest.raises(UsageError, match=r"loki_traffic_1080ti\.csv"):
        run(Options(data=tmp_path), silent)
    folder = tmp_path / "comparison"
    folder.mkdir()
    (folder / "loki_traffic_1080ti.csv").write_text("model,batch\nyolov5n,1\n")
    with pytest.raises(UsageError, match="p50_ms"):
        read(tmp_path)
    (folder / "loki_traffic_1080ti.csv").write_text("model,batch,p50_ms,p95_ms\nyolov5n,1,8,9\n")
    (folder / "loki_branching.csv").write_text("detector,objects_per_frame,car_share\nyolov5n,2,.5\n")
    with pytest.raises(UsageError, match="eb0"):
        read(tmp_path)


def test_capacity_with_the_published_cars_is_bounded_below_the_reference(published_data: Path) -> None:
    """Twenty servers never idle, no SLO at all: 168 frames per second, so 207 cannot be of these figures."""
    published = read(published_data)
    assert published.cars["yolov5x"] == pytest.approx(17.8, abs=0.05)
    assert bound_rps(published) < 0.85 * REFERENCE[0]
    assert loki(make_task(published, 140.5, models=BEST)) is not None
    assert loki(make_task(published, 141.1, models=BEST)) is None


def test_as_the_reference_reads_it_its_figures_are_met(published_data: Path) -> None:
    """Capacity, and accuracy at 1.5 and 2.7 times it, within 2 per cent; the study has the one between."""
    published = read(published_data)
    cars = reference_cars(published)
    assert cars == pytest.approx(11.9, abs=0.01)
    assert loki(make_task(published, 0.98 * REFERENCE[0], cars=cars, models=BEST), REFERENCE_PART) is not None
    assert loki(make_task(published, 1.02 * REFERENCE[0], cars=cars, models=BEST), REFERENCE_PART) is None
    for multiple, expected in ((1.5, REFERENCE[1]), (2.7, REFERENCE[3])):
        task = make_task(published, multiple * REFERENCE[0], cars=cars)
        found = loki(task, REFERENCE_PART)
        assert found is not None
        assert accuracy(task.workloads[0], found) == pytest.approx(expected, rel=0.02)


def test_capacity_is_where_the_best_variants_no_longer_suffice() -> None:
    """And below what servers that can be divided, and are never idle, would carry."""
    published = made_up()
    whole = capacity(published)
    assert whole < bound_rps(published)
    assert loki(make_task(published, whole, models=BEST)) is not None
    assert loki(make_task(published, 1.002 * whole, models=BEST)) is None


def test_recall_takes_from_a_weak_detector_what_accuracy_leaves_it() -> None:
    """Judged by cars found, no plan is more accurate than the detector's recall."""
    published = made_up()
    for recall, expected in ((False, 0.552 * 0.915), (True, 1 / 3 * 0.915)):
        task = make_task(published, 10, recall=recall, models=("yolov5n", "eb0"))
        found = make_planner("heterosis")(task)
        assert found is not None
        assert accuracy(task.workloads[0], found) == pytest.approx(expected)


def test_frames_have_the_cars_that_are_asked_for_on_average() -> None:
    """To a thousandth, of two kinds."""
    made = frames(17.815)
    assert np.mean([len(each.calls) - 1 for each in made]) == pytest.approx(17.815, abs=5e-4)
    assert {len(each.calls) - 1 for each in made} == {17, 18}


@pytest.mark.parametrize("name", ["loki", "heterosis"])
def test_no_plan_stays_below_the_bound_of_its_accuracy(name: str) -> None:
    """Watts of the plan by its own figures, for each frame."""
    published = made_up()
    for load in (20, 100):
        task = make_task(published, load, (Objective.ENERGY,), models=("yolov5n", "yolov5l", "eb0", "eb6"))
        found = make_planner(name)(task)
        assert found is not None
        reached = accuracy(task.workloads[0], found) or 0.0
        assert (power_w(task, found) or 0.0) / load >= bound_j(published, reached - 1e-9)
        row = planned(published, name, task, found, 0.0)
        assert row.joules_per_request >= row.lower_bound_joules > 0


def test_a_run_counts_the_variants_that_ran_and_the_cars_of_their_detector() -> None:
    """One detector, two classifiers: accuracy lies between theirs, recall is the detector's."""
    published = made_up()
    task = make_task(published, 40, models=("yolov5s", "eb0", "eb6"))
    found = loki(task)
    assert found is not None
    came = simulate(published, poisson(40, 10, 0), [(0.0, found, to_plan(task, found, policy="loki"))], 0)
    right = came.accuracy / DETECTORS["yolov5s"]
    assert CLASSIFIERS["eb0"] <= right <= CLASSIFIERS["eb6"] + 1e-9
    assert came.recall_accuracy == pytest.approx(right * 1.5 / 3)
    assert came.devices == sum(found.devices().values())
    assert came.attainment > 0.5
    assert came.joules_per_request > bound_j(published, came.accuracy - 1e-9)


def test_a_plan_that_changes_counts_its_devices_over_time() -> None:
    """Half of the run on a plan for little, half on one for much."""
    published = made_up()
    answers = []
    for load in (5, 300):
        task = make_task(published, load, models=BEST)
        found = loki(task)
        assert found is not None
        answers.append((task, found))
    small, large = (sum(found.devices().values()) for _, found in answers)
    timeline = changes(iter([(0.0, *answers[0]), (2.0, *answers[0]), (5.0, *answers[1])]), "loki")
    assert [at for at, _, _ in timeline] == [0.0, 5.0]
    came = simulate(published, poisson(5, 10, 0), timeline, 0)
    assert came.devices == pytest.approx((small + large) / 2, rel=0.05)


def test_demand_is_smoothed_from_what_arrived_and_starts_at_night() -> None:
    """It never looks ahead: a constant load is known after a while."""
    levels = [level for _, level in smoothed(np.arange(0, DAY_S, 0.02).tolist())]
    assert levels[0] == pytest.approx((2 - PEAK) * MEAN_RPS)
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(50, rel=0.01)


def test_plans_are_made_once_for_each_step_of_the_grid_and_for_enough() -> None:
    """Rounded up."""
    published, asked = made_up(), list[float]()

    def plan(rate: float) -> tuple[object, object]:
        asked.append(rate)
        return make_task(published, rate), None

    plans = Planned(plan)  # type: ignore[arg-type]
    for rate in (9.5, 9.9, 20.0):
        plans.at(rate)
    assert len(asked) == len(plans.took_s) == 2
    assert all(rate <= made <= rate * GRID for rate, made in zip((9.9, 20.0), asked, strict=True))


def test_a_day_of_inferline_is_planned_once_and_tuned_within_the_fleet() -> None:
    """It has more devices at noon than at night, and never a weaker model."""
    task, found = planned_once(made_up())
    times = [at for at in poisson(400, DAY_S / 2, 0) if at > DAY_S / 4]
    counts = [sum(each.devices().values()) for _, each, _ in tuned(times, task, found)]
    assert counts[0] == sum(found.devices().values())
    assert counts[0] < max(counts) <= 20
    assert counts[-1] < max(counts)
    assert {host.option.variant.model for host in found.hosted()} == set(BEST)


def test_rows_of_every_part_are_drawn(tmp_path: Path) -> None:
    """A row with runs has their interval."""
    published = made_up()
    task = make_task(published, 40)
    found = loki(task)
    assert found is not None
    timeline = [(0.0, found, to_plan(task, found, policy="loki"))]
    runs = [simulate(published, poisson(40, 4, seed), timeline, seed) for seed in range(2)]
    rows: list[Row] = [planned(published, "loki", task, found, 0.1)]
    rows += [simulated(published, part, "loki", 40, runs, 0.1) for part in ("load", "off-peak", "day")]
    assert rows[1].violations_low is not None
    assert rows[1].attainment == pytest.approx(np.mean([each.attainment for each in runs]))
    assert {host.option.stage for host in found.hosted()} == {DETECT, CLASSIFY}
    assert [path.stat().st_size > 10_000 for path in draw(rows, tmp_path)] == [True]

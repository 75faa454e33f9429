"""Stand-ins for published pipelines."""

from pathlib import Path

import pytest

from heterosis.catalogue import open_fleet
from heterosis.engines.emulated import EmulatedEngine
from heterosis.pipeline import load_pipeline
from heterosis.planning.fleet import allot, to_plan
from heterosis.terms import DEFAULT_MODE
from heterosis.terms.joining import part_of, qualified, with_pipelines
from heterosis.workflow.rehearsal.emulation import Artifacts, write_pipeline
from heterosis.workflow.rehearsal.setting import joint_task, published

RACK = open_fleet("edge-rack")


def test_the_pipeline_makes_the_calls_that_the_request_names(tmp_path: Path) -> None:
    """Its stages and samples are those of the catalogue's graph."""
    (workload,) = published("traffic", RACK, 5.0)
    pipeline = load_pipeline(str(write_pipeline(workload, tmp_path)))
    assert [stage.name for stage in pipeline.stages] == list(workload.graph.stages)
    assert len(pipeline.load_samples()) == len(workload.graph.requests)
    assert pipeline.slo.latency_ms == workload.slo.latency_ms


def test_an_instance_loads_the_figures_of_its_own_configuration(tmp_path: Path) -> None:
    """On its own type and mode, and as long as published; they are planned for as the real ones would be."""
    workloads = published("traffic+documents", RACK, 5.0)
    task = joint_task(workloads, RACK, 60.0)
    answer = allot(task)
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    points = [point for each in task.workloads for point in each.profile.points]
    artifacts = Artifacts(points, tmp_path)
    for placement in plan.placements:
        variant = artifacts.variant_for(placement, plan.variant(placement.configuration))
        assert variant.engine == EmulatedEngine.name
        batches = [point.batch for point in points if point.configuration == placement.configuration]
        model = EmulatedEngine().load(Path(variant.artifact), 1).model
        assert model.unit == f"{placement.node}/{placement.device}"
        assert model.points[-1].batch == max(batches)
    assert {each.configuration.power_mode for each in plan.placements} - {DEFAULT_MODE}


def test_a_joint_plan_is_the_sum_of_its_parts() -> None:
    """What the repository loads one by one is what was planned for all."""
    task = joint_task(published("traffic+documents", RACK, 5.0), RACK, 60.0)
    answer = allot(task)
    assert answer is not None
    plan = with_pipelines(to_plan(task, answer.allotment))
    parts = [qualified(part_of(plan, key), key) for key in ("traffic", "documents")]
    assert sorted(each.instance for part in parts for each in part.placements) == sorted(
        each.instance for each in plan.placements
    )
    assert {each for part in parts for each in part.placements} == set(plan.placements)
    with pytest.raises(StopIteration):
        part_of(plan, "nobody")

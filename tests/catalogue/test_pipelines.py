"""Pipelines of published models."""

import pytest

from heterosis.catalogue import open_fleet, open_pipeline, pipeline_names
from heterosis.catalogue.pipelines import BATCHES
from heterosis.catalogue.types import find_entry
from heterosis.planning import Snapshot, plan
from heterosis.terms.errors import UsageError

PIPELINES = pytest.mark.parametrize("name", pipeline_names())


@PIPELINES
def test_variants(name: str) -> None:
    """The most accurate of each stage comes first; none beats the reference; each model of the stage has one."""
    pipeline = open_pipeline(name)
    for stage in pipeline.graph.stages:
        accuracies = [variant.accuracy or 0 for variant in pipeline.variants.of(stage)]
        assert accuracies == sorted(accuracies, reverse=True)
        assert 0 < accuracies[-1] <= accuracies[0] <= (pipeline.variants.reference_accuracy or 0)


@PIPELINES
def test_items_have_bytes(name: str) -> None:
    """Of every stage, to be sent to other machines."""
    pipeline = open_pipeline(name)
    assert tuple(pipeline.graph.input_bytes) == pipeline.graph.stages
    assert min(pipeline.graph.input_bytes.values()) > 0


@PIPELINES
def test_profile_is_of_the_fleet(name: str) -> None:
    """Points are of its types, in all their modes, with batches that they take, and have joules."""
    fleet = open_fleet("edge-rack")
    profile = open_pipeline(name).profile(fleet)
    types = {device.type.name: device.type for device in fleet.devices}
    for point in profile.points:
        configuration = point.configuration
        assert configuration.power_mode in {mode.name for mode in types[configuration.device_type].power_modes}
        assert point.batch in BATCHES
        assert point.batch <= find_entry(configuration.device_type).max_batch
        assert point.latency.p50_ms <= point.latency.mean_ms <= point.latency.p95_ms <= point.latency.p99_ms
        assert (point.dynamic_energy.joules or 0) > 0
    assert len({(point.configuration, point.batch) for point in profile.points}) == len(profile.points)


@PIPELINES
def test_can_be_planned(name: str) -> None:
    """A plan for the edge rack meets SLO and accuracy, with devices of unlike types to choose from in some stage."""
    pipeline, fleet = open_pipeline(name), open_fleet("edge-rack")
    profile = pipeline.profile(fleet)
    assert len({point.configuration.device_type for point in profile.points}) > 3
    made = plan(
        Snapshot(
            graph=pipeline.graph,
            slo=pipeline.slo,
            rate_rps=5,
            variants=pipeline.variants,
            profile=profile,
            fleet=fleet,
        )
    )
    assert made.predicted.latency_ms <= pipeline.slo.latency_ms
    assert (made.predicted.accuracy or 0) >= (pipeline.slo.min_accuracy or 1)


def test_traffic_fans_out_by_what_was_seen() -> None:
    """Objects of a frame: mean and largest of the videos' quantiles; each waits for the detection."""
    graph = open_pipeline("traffic").graph
    assert graph.fan_out("detect").counts == (1,) * 40
    assert graph.fan_out("classify").mean == pytest.approx(8.41, abs=0.1)
    assert graph.fan_out("classify").quantile(100) == 19
    assert graph.paths() == (("detect", "classify"),)


def test_a_fleet_that_cannot() -> None:
    """The message has the types on which the stage could run."""
    with pytest.raises(UsageError, match=r"no device of the fleet has figures for stage 'detect'.*needs one of: a10"):
        open_pipeline("traffic").profile(open_fleet("kairos-ec2"))


def test_no_such_pipeline() -> None:
    """The message has what was probably meant."""
    with pytest.raises(UsageError, match="no pipeline 'trafic'; did you mean traffic"):
        open_pipeline("trafic")

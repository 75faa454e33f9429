"""One profile of many."""

import msgspec
import pytest

from heterosis.profiling.merging import merge
from heterosis.terms import Configuration, Exclusion, Latency, OperatingPoint, Profile, Provenance
from heterosis.terms.errors import UsageError


def point(device_type: str, batch: int, ms: float) -> OperatingPoint:
    """Make a point."""
    configuration = Configuration(stage="s", variant="v", device_type=device_type)
    return OperatingPoint(
        configuration=configuration,
        batch=batch,
        latency=Latency(mean_ms=ms, p50_ms=ms, p95_ms=ms, p99_ms=ms),
        cpu_ms=ms,
    )


def profile(machine: str, day: int, *points: OperatingPoint) -> Profile:
    """Make a profile of a machine, on a day."""
    at = f"2026-01-{day:02}T00:00:00+00:00"
    return Profile(
        pipeline="p",
        machine=machine,
        measured_at=at,
        versions={"numpy": str(day)},
        points=points,
        excluded=(Exclusion(stage="s", name=machine, reason="slow"),),
        origins=(Provenance(machine=machine, measured_at=at, device_types=(points[0].configuration.device_type,)),),
    )


SERVER = profile("server", 1, point("xeon", 1, 5), point("xeon", 2, 8))
BOARD = profile("board", 2, point("jetson", 1, 9))


def test_nodes_stand_side_by_side() -> None:
    """All points, origins and exclusions are there, in whatever order the profiles come."""
    merged = merge([BOARD, SERVER])
    assert merged == merge([SERVER, BOARD])
    assert set(merged.points) == {*SERVER.points, *BOARD.points}
    assert merged.origins == (*SERVER.origins, *BOARD.origins)
    assert merged.machine == "server; board"
    assert merged.measured_at == BOARD.measured_at
    assert [each.name for each in merged.excluded] == ["server", "board"]


def test_the_latest_measurement_counts() -> None:
    """A point that is in several profiles is that of the last; merging a profile with itself changes nothing."""
    again = profile("server", 3, point("xeon", 1, 6))
    merged = merge([again, SERVER])
    assert set(merged.points) == {again.points[0], SERVER.points[1]}
    twice = merge([SERVER, SERVER])
    assert (twice.points, twice.origins, twice.machine) == (SERVER.points, SERVER.origins, "server")


def test_only_profiles_of_one_pipeline_go_together() -> None:
    """Others are refused, by name."""
    with pytest.raises(UsageError, match="these are of other, p"):
        merge([SERVER, msgspec.structs.replace(BOARD, pipeline="other")])

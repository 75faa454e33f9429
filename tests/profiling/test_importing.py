"""Published figures as a profile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.profiling.importing import read_table
from heterosis.terms import UNKNOWN, Configuration, Latency, Profile, Quality
from heterosis.terms.errors import UsageError

KAIROS = """model,instance,batch,total_mean_ms,total_std_ms,total_p50_ms,total_p95_ms,total_p99_ms
ncf,g4dn.xlarge,10,0.611,0.044,0.615,0.678,0.714
ncf,r5n.large,20,0.710,0.051,0.712,0.794,0.841
"""
NAMES = {"variant": "model", "device_type": "instance", "mean_ms": "total_mean_ms"}
PERCENTILES = {"p50_ms": "total_p50_ms", "p95_ms": "total_p95_ms", "p99_ms": "total_p99_ms"}


def read(path: Path, columns: Mapping[str, str], constants: Mapping[str, str] | None = None) -> Profile:
    """Read a table for a pipeline, its joules sampled."""
    return read_table(
        path,
        "p",
        columns=columns,
        constants={"stage": "rank"} if constants is None else constants,
        source="somebody, 2023",
        quality=Quality.SAMPLED,
    )


def csv(folder: Path, text: str) -> Path:
    """Write a table."""
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_a_table_of_percentiles(tmp_path: Path) -> None:
    """Columns are called as the table calls them; the source stands by them, and unknown joules stay unknown."""
    found = read(csv(tmp_path, KAIROS), NAMES | PERCENTILES)
    first, second = found.points
    assert first.configuration == Configuration(stage="rank", variant="ncf", device_type="g4dn.xlarge")
    assert first.batch == 10
    assert first.latency == Latency(mean_ms=0.611, p50_ms=0.615, p95_ms=0.678, p99_ms=0.714)
    assert first.dynamic_energy == UNKNOWN
    assert second.configuration.device_type == "r5n.large"
    assert found.origins[0].source == "somebody, 2023"
    assert found.origins[0].device_types == ("g4dn.xlarge", "r5n.large")


def test_what_is_missing_follows_from_what_is_there(tmp_path: Path) -> None:
    """With a standard deviation percentiles are a normal distribution's; with a mean alone, all are that."""
    latency = read(csv(tmp_path, KAIROS), NAMES | {"std_ms": "total_std_ms"}).points[0].latency
    assert latency.p50_ms == latency.mean_ms == 0.611
    assert latency.p95_ms == pytest.approx(0.611 + 1.645 * 0.044)
    assert latency.p99_ms == pytest.approx(0.611 + 2.326 * 0.044)
    assert read(csv(tmp_path, KAIROS), NAMES).points[0].latency.p99_ms == 0.611


def test_json_with_our_own_names(tmp_path: Path) -> None:
    """Rows of JSON can have modes, threads and joules; empty cells count as missing."""
    row = {
        "stage": "detect",
        "variant": "yolo/tensorrt-int8",
        "device_type": "orin",
        "power_mode": "15W",
        "threads": 2,
        "batch": 4,
        "p50_ms": 8,
        "joules": 0.2,
        "load_ms": "",
        "memory_mb": 300,
    }
    path = tmp_path / "table.json"
    path.write_bytes(msgspec.json.encode([row]))
    (point,) = read(path, {}, {}).points
    assert (point.configuration.power_mode, point.configuration.threads, point.batch) == ("15W", 2, 4)
    assert (point.dynamic_energy.joules, point.dynamic_energy.quality) == (0.2, Quality.SAMPLED)
    assert (point.latency.mean_ms, point.cpu_ms, point.load_ms, point.memory_bytes) == (8, 16, 0, 300_000_000)


@pytest.mark.parametrize(
    ("text", "columns", "complaint"),
    [
        (KAIROS, {"speed": "x"}, "no column 'speed' in a profile"),
        (KAIROS, {"variant": "modell"}, r"row 1: no column 'modell'; it has: model, instance"),
        (KAIROS, {"variant": "model"}, "row 1: it says no device_type"),
        (KAIROS, {"variant": "model", "device_type": "instance"}, "row 1: it says no latency above zero"),
        (KAIROS.replace("0.710", "fast"), NAMES, "row 2: mean_ms is 'fast', which is no number"),
        (KAIROS.replace("0.710", "-1"), NAMES, "row 2: mean_ms is '-1', which no measurement is"),
        (KAIROS.replace("large,20", "large,2.5"), NAMES, "row 2: batch 2.5 and threads 1 must be whole"),
        ("model\n", NAMES, "has no rows"),
    ],
)
def test_mistakes_name_the_row(tmp_path: Path, text: str, columns: dict[str, str], complaint: str) -> None:
    """What is missing, misnamed or no number is said, with the row."""
    with pytest.raises(UsageError, match=complaint):
        read(csv(tmp_path, text), columns)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    """A missing file, and JSON of another kind."""
    with pytest.raises(UsageError, match="cannot read the table"):
        read(tmp_path / "nowhere.csv", NAMES)
    wrong: dict[str, Any] = {"a": 1}
    (tmp_path / "wrong.json").write_bytes(msgspec.json.encode(wrong))
    with pytest.raises(UsageError, match="no JSON array of objects"):
        read(tmp_path / "wrong.json", NAMES)

"""Records of what was measured."""

from pathlib import Path

import msgspec
import pytest

from heterosis.profiling.records import Records, Subject, digest_of_code, versions_for
from heterosis.profiling.sampling import Measurement
from heterosis.terms import Latency, Variant

SUBJECT = Subject(
    stage="read",
    variant="small/e-fp32",
    digest="d",
    threads=1,
    machine="m",
    versions={"numpy": "2", "python": "3"},
    inputs="i",
    code="c",
)


def measurement(batch: int, waiting_ratio: float = 0.0) -> Measurement:
    """Make a measurement."""
    latency = Latency(mean_ms=1, p50_ms=1, p95_ms=2, p99_ms=3)
    return Measurement(
        batch=batch,
        latency=latency,
        cpu_ms=1,
        load_ms=1,
        warm_up_ms=1,
        memory_bytes=1,
        samples=9,
        outliers=0,
        interval_ratio=0.1,
        waiting_ratio=waiting_ratio,
    )


def test_saved_and_loaded(tmp_path: Path) -> None:
    """A record comes back whole, its measurements in order of batch size."""
    records = Records(tmp_path)
    record = records.load(SUBJECT)
    assert record.measurements == ()
    record = record.plus(measurement(4)).plus(measurement(1))
    records.save(record)
    assert Records(tmp_path).load(SUBJECT) == record
    assert [each.batch for each in record.measurements] == [1, 4]
    assert record.at(4) == measurement(4)
    assert record.at(2) is None


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "write"},
        {"digest": "e"},
        {"threads": 2},
        {"machine": "n"},
        {"versions": {"numpy": "3", "python": "3"}},
        {"inputs": "j"},
        {"code": "d"},
        {"format": 99},
    ],
    ids=str,
)
def test_any_change_makes_another_record(tmp_path: Path, change: dict[str, object]) -> None:
    """Figures are not taken over when anything that they depend on has changed."""
    records = Records(tmp_path)
    records.save(records.load(SUBJECT).plus(measurement(1)))
    other = msgspec.structs.replace(SUBJECT, **change)
    assert other.key != SUBJECT.key
    assert records.load(other).measurements == ()


def test_order_of_versions_does_not_matter() -> None:
    """The name of a record follows from its content alone."""
    assert msgspec.structs.replace(SUBJECT, versions={"python": "3", "numpy": "2"}).key == SUBJECT.key


@pytest.mark.parametrize("content", [b"", b"{}", b'{"subject": 3', b"\xff"])
def test_a_damaged_record_is_measured_anew(tmp_path: Path, content: bytes) -> None:
    """What cannot be read counts as not there."""
    records = Records(tmp_path)
    records.save(records.load(SUBJECT).plus(measurement(1)))
    (file,) = (tmp_path / "profiles").iterdir()
    file.write_bytes(content)
    assert records.load(SUBJECT).measurements == ()


def test_versions_name_the_engine() -> None:
    """Versions are those of Python, numpy, heterosis and the engine; an engine of our own has none."""
    variant = Variant(stage="s", model="m", engine="onnxruntime", precision="fp32", artifact="", digest="")
    assert set(versions_for(variant)) == {"python", "numpy", "heterosis", "onnxruntime"}
    assert set(versions_for(msgspec.structs.replace(variant, engine="function"))) == {"python", "numpy", "heterosis"}


def test_code_is_that_of_the_folder(tmp_path: Path) -> None:
    """A change in any Python file beside the stage counts, one in other files does not."""
    (tmp_path / "stage.py").write_text("a = 1")
    (tmp_path / "notes.txt").write_text("x")
    before = digest_of_code(tmp_path)
    (tmp_path / "notes.txt").write_text("y")
    assert digest_of_code(tmp_path) == before
    (tmp_path / "helper.py").write_text("b = 2")
    assert digest_of_code(tmp_path) != before


def test_what_was_measured_on_a_busy_machine_can_be_left_out(tmp_path: Path) -> None:
    """Points that waited too much count as not measured; the others stay."""
    record = Records(tmp_path).load(SUBJECT).plus(measurement(1)).plus(measurement(2, waiting_ratio=0.3))
    Records(tmp_path).save(record)
    assert len(Records(tmp_path).load(SUBJECT).measurements) == 2
    quiet = Records(tmp_path, most_waiting=0.1).load(SUBJECT)
    assert quiet.measurements == (measurement(1),)
    assert len(Records(tmp_path, most_waiting=0.5).load(SUBJECT).measurements) == 2


def test_what_no_longer_holds_is_told_with_the_reason(tmp_path: Path) -> None:
    """Where the same was measured before under other circumstances, the latest of those is compared."""
    records = Records(tmp_path)
    assert records.why_stale(SUBJECT) == ""
    records.save(records.load(SUBJECT).plus(measurement(1)))
    assert Records(tmp_path).why_stale(SUBJECT) == ""
    newer = msgspec.structs.replace(SUBJECT, machine="a faster one", versions={"numpy": "3", "python": "3"}, code="d")
    reason = Records(tmp_path).why_stale(newer)
    assert "no longer holds: it was on m, and this is a faster one; numpy was 2, and is 3; the code" in reason
    other = msgspec.structs.replace(SUBJECT, threads=2)
    assert Records(tmp_path).why_stale(other) == "", "another configuration says nothing of this one"

"""Recorded traces."""

from pathlib import Path

import pytest

from heterosis.arrivals import read_trace, rescaled
from heterosis.terms.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.csv", "10\n10.5\n12\n", [0, 0.5, 2]),
        ("t.csv", "id,timestamp_ms\na,1000\nb,1500\n\nc,1250\n", [0, 0.25, 0.5]),
        ("t.csv", "Timestamp,tokens\n2024-05-10 00:00:01.5,3\n2024-05-10 00:00:02,4\n", [0, 0.5]),
        ("t.csv", "TIMESTAMP,Tokens\n2023-11-16 18:17:03.9799600,4\n2023-11-16 18:17:04.0319600,9\n", [0, 0.052]),
        ("t.csv", "app,func,end_timestamp,duration\na,f,57.25,57\nb,g,1.5,0.25\n", [0, 1]),
        ("t.csv", "HashFunction,Trigger,1,2,3\nf,queue,1,0,2\ng,http,1,1,0\n", [0, 30, 75, 120, 150]),
        ("t.csv", "gap_us\n5000000\n1000000\n500000\n", [0, 1, 1.5]),
        ("t.json", "[3, 3.5, 5]", [0, 0.5, 2]),
        ("t.json", '{"gaps_ms": [0, 500, 1500]}', [0, 0.5, 2]),
        ("t.json", '[{"arrival_s": 1}, {"arrival_s": 4}]', [0, 3]),
    ],
)
def test_traces(tmp_path: Path, name: str, text: str, expected: list[float]) -> None:
    """Timestamps or gaps, in any unit, named or bare, CSV or JSON, become seconds from the first arrival."""
    path = tmp_path / name
    path.write_text(text)
    assert read_trace(path) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "no column of times"),
        ("t.csv", "timestamp\n", "is empty"),
        ("t.csv", "id,when\n1,2\n", "no column of times; a trace has a column"),
        ("t.csv", "id,time\n1,2\n3\n", "row 3 has no column 'time'"),
        ("t.csv", "time\n1\nsoon\n", "entry 2 is 'soon', neither a number nor a date"),
        ("t.csv", "gap\n1\n-1\n", "negative gap"),
        ("t.csv", "1\nnan\n", "entry 2 is 'nan', which is no time"),
        ("t.csv", "f,1,2\na,3,x\n", "column 2 holds something else than counts"),
        ("t.json", "{", "is not JSON"),
        ("t.json", "3", "no list of times"),
        ("t.json", '{"time": 3}', "no list of times"),
        ("t.json", '[{"time": 3}, {}]', "entry 2 is None"),
        ("t.json", "[1, null]", "entry 2 is None"),
    ],
)
def test_files_that_are_no_trace(tmp_path: Path, name: str, text: str, message: str) -> None:
    """Each mistake in a trace is named."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_trace(path)


def test_missing_trace(tmp_path: Path) -> None:
    """A file that is not there is said to be missing."""
    with pytest.raises(UsageError, match="cannot read the trace"):
        read_trace(tmp_path / "none.csv")


def test_rescaled() -> None:
    """A trace keeps its shape at another mean rate; a single moment has no rate."""
    assert rescaled([0, 1, 3], rate_rps=4) == pytest.approx([0, 0.5 / 3, 0.5])
    with pytest.raises(UsageError, match="fewer than two"):
        rescaled([0], rate_rps=1)

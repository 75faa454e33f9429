"""Device types side by side."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.catalogue.comparison import compare, pareto
from heterosis.figures.catalogue import draw_catalogue
from heterosis.terms.errors import UsageError

COORDINATE = st.floats(0.1, 100)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1))
def test_pareto(points: list[tuple[float, float]]) -> None:
    """Exactly the points that no other is at least as good as in both."""

    def beaten(point: tuple[float, float]) -> bool:
        return any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)

    assert pareto(points) == sorted({point for point in points if not beaten(point)})


def test_rows() -> None:
    """Idle power is shared by what all slots do: on two DPU cores, half of it for each."""
    (row,) = compare(["zcu104"], "resnet50").rows
    one = row.of(1)
    assert one.throughput_per_s == pytest.approx(2e3 / one.latency_ms)
    assert one.total_j - one.dynamic_j == pytest.approx(15.72 * one.latency_ms / 2e3)
    assert row.of(5).size == 4


def test_unbeaten() -> None:
    """The best in each single respect are marked; what another beats in all is not."""
    rows = compare([], "resnet50").rows
    best = [row for row in rows if row.best]
    assert 0 < len(best) < len(rows)
    assert min(rows, key=lambda row: row.of(1).latency_ms) in best
    assert min(rows, key=lambda row: row.of(8).total_j) in best
    assert min(rows, key=lambda row: row.purchase_price or 1e9) in best
    for row in rows:
        beaten = [
            other
            for other in rows
            if other.of(1).latency_ms < row.of(1).latency_ms
            and other.of(8).total_j < row.of(8).total_j
            and other.accuracy >= row.accuracy
            and (other.purchase_price, other.price_per_hour) == (row.purchase_price, row.price_per_hour)
        ]
        assert not (beaten and row.best)


def test_choice() -> None:
    """Types by name, in that order; with a model, only those with figures of it; and the sources of what is shown."""
    found = compare(["t4-server", "coral"])
    assert [entry.name for entry in found.types] == ["t4-server", "coral"]
    assert set(found.sources) == {"mlperf-v1-0", "qutibench", "kairos", "google"}
    assert [entry.name for entry in compare(["t4-server", "coral"], "bert-99").types] == ["t4-server"]
    with pytest.raises(UsageError, match="no model"):
        compare([], "bert")


def test_figure(tmp_path: Path) -> None:
    """It has a line for each place, by name."""
    path = tmp_path / "bert.svg"
    rows = compare([], "bert-99").rows
    draw_catalogue(rows, path, model="bert-99")
    drawn = path.read_text()
    assert all(row.place in drawn for row in rows)
    assert "Pareto front" in drawn

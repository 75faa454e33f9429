"""`heterosis plan --fleet`: plans for devices that are not here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.catalogue import open_fleet
from heterosis.cli.plan_fleet import Planned
from heterosis.cli.what_if import Asked, changed
from heterosis.planning.fleet import planner
from heterosis.terms.errors import UsageError
from heterosis.workflow import fleets

Command = Callable[..., Any]
FLEET = """
[[node]]
name = "rack"
link_ms = 0.3
device = [{ type = "orin-nx", count = 2 }, { type = "coral", count = 2 }]
"""


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try few plans on few requests."""
    monkeypatch.setattr(fleets, "TRIED", 100)
    monkeypatch.setattr(fleets, "COUNTED", 100)
    monkeypatch.setattr(planner, "MOST_TRIES", 2)


@pytest.fixture
def traffic(tmp_path: Path) -> tuple[object, ...]:
    """A command for a published pipeline on two types of devices."""
    path = tmp_path / "rack.toml"
    path.write_text(FLEET)
    return ("plan", "traffic", "--fleet", path, "--rate", 4)


def test_a_published_pipeline_is_planned_for_a_fleet(
    traffic: tuple[object, ...], heterosis: Command, tmp_path: Path
) -> None:
    """What is on stays within the fleet, the bound is kept, the simulator agrees on the joules; a figure is drawn."""
    done = heterosis(*traffic, "--json", "--figure", tmp_path / "plan.svg")
    assert done.returncode == 0
    found = msgspec.json.decode(done.stdout, type=Planned)
    assert found.holds
    assert found.unit == "W"
    assert found.bound is not None
    assert found.cost is not None
    assert found.bound <= found.cost
    assert all(row.count <= row.available for row in found.rows)
    assert found.figures["attainment"].mean > 0.97
    joules = found.figures["energy.per_answer.joules"].mean
    assert joules == pytest.approx(found.cost / 4, rel=0.2)
    assert (tmp_path / "plan.svg").stat().st_size > 1000


def test_what_if_shows_both_plans_side_by_side(traffic: tuple[object, ...], heterosis: Command) -> None:
    """With the difference in cost."""
    done = heterosis(*traffic, "--what-if", "rate=8x", "--explain")
    assert done.returncode == 0
    assert "as asked" in done.stdout
    assert "rate=8x" in done.stdout
    assert "(+" in done.stdout
    assert "one more request/s of traffic would cost" in done.stdout
    assert "below the accuracy floor" in done.stdout


def test_a_published_planner_can_plan_instead(traffic: tuple[object, ...], heterosis: Command) -> None:
    """Its plan is tried like ours, whatever comes of that; it has no reasons to give."""
    done = heterosis(*traffic, "--planner", "fastest", "--json")
    assert done.returncode == 0
    assert msgspec.json.decode(done.stdout, type=Planned).planner == "fastest"
    refused = heterosis(*traffic, "--planner", "fastest", "--explain")
    assert refused.returncode == 2
    assert "--explain says why our own plan" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "traffic", "--fleet", "edge-rack", "--slo", 5), "the SLO binds"),
        (("plan", "traffic", "--fleet", "edge-rack", "--objective", "joy"), "no objective 'joy'"),
        (("plan", "traffic", "--fleet", "edge-rack", "--objective", "carbon"), "how many grams of CO2"),
        (("plan", "traffic", "--fleet", "nowhere"), "no fleet 'nowhere'"),
        (("plan", "trafic", "--fleet", "edge-rack"), "the catalogue has no pipeline 'trafic'"),
        (("plan", "traffic", "--fleet", "edge-rack", "--what-if", "colour=red"), "--what-if takes"),
        (("plan", "traffic", "--fleet", "edge-rack", "--planner", "nobody"), "no planner 'nobody'"),
        (("plan", "ocr.py", "--objective", "price"), "--objective is for plans of a fleet"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(arguments: tuple[object, ...], said: str, heterosis: Command) -> None:
    """On standard error, with the exit code of a misuse."""
    done = heterosis(*arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_pipeline_file_is_planned_for_on_its_own_points(
    pipeline_file: Path, store: Path, heterosis: Command, tmp_path: Path
) -> None:
    """Two machines like this one, by the objective that needs no power; devices of another type have no points."""
    fleet = tmp_path / "fleet.json"
    fleet.write_text(heterosis("devices", "--json").stdout)
    heterosis("profile", pipeline_file, "--store", store, "--budget", 5)
    own = ("plan", pipeline_file, "--store", store, "--budget", 5)
    done = heterosis(*own, "--fleet", fleet, "--objective", "devices", "--json")
    assert done.returncode == 0, done.stderr
    assert [row.count for row in msgspec.json.decode(done.stdout, type=Planned).rows] == [1]
    elsewhere = heterosis(*own, "--fleet", "edge-rack", "--objective", "devices")
    assert elsewhere.returncode == 2
    assert "no device of the fleet has figures of stage split, count" in elsewhere.stderr


def test_changes_are_read_as_they_are_written() -> None:
    """Factors and values, devices more, fewer and new."""
    asked = Asked(rate_rps=4.0, latency_ms=None, min_accuracy=None, fleet=open_fleet("edge-rack"))

    def counted(text: str) -> int:
        kind = text.partition("=")[2].partition(":")[0]
        return sum(device.type.name == kind for device in changed(asked, text).fleet.devices)

    assert changed(asked, "rate=2x,slo=300").rate_rps == 8.0
    assert changed(asked, "rate=7").rate_rps == 7.0
    assert changed(asked, "rate=2x,slo=300,accuracy=0.9").latency_ms == 300.0
    assert changed(asked, "accuracy=0.9").min_accuracy == 0.9
    assert counted("devices=orin-nx:+2") == 5
    assert counted("devices=orin-nx:-2") == 1
    assert counted("devices=t4-server:+1") == 1
    with pytest.raises(UsageError, match="cannot go"):
        changed(asked, "devices=orin-nx:-4")
    with pytest.raises(UsageError, match="has no number"):
        changed(asked, "rate=fast")

"""`heterosis pool`: what is asked, what is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

Command = Callable[..., Any]

OFFER = {
    "model": "ocr",
    "latency_ms": 100,
    "sizes": {"1": 1.0},
    "types": [
        {"name": "fast", "price_per_hour": 0.5, "latency_ms": {"1": 10}, "cv": 0.1},
        {"name": "slow", "price_per_hour": 0.1, "latency_ms": {"1": 40}, "cv": 0.1},
    ],
}


@pytest.fixture
def offer(tmp_path: Path) -> Path:
    """A file of two types: four slow ones serve as much as a fast one, for less."""
    path = tmp_path / "offer.json"
    path.write_bytes(msgspec.json.encode(OFFER))
    return path


def test_a_budget_is_spent_on_what_serves_most(offer: Path, heterosis: Command) -> None:
    """Said to people with the reasons, and as JSON."""
    done = heterosis("pool", offer, "--budget", 0.5, "--seeds", 1, "--requests", 500, "--explain")
    assert done.returncode == 0, done.stderr
    assert "rent 5 slow for $0.5 an hour" in done.stdout
    assert "chosen" in done.stdout
    assert "one more machine would raise the bound by at most: fast 101/s, slow 25.3/s" in done.stdout


def test_a_rate_is_served_for_the_least_price(offer: Path, heterosis: Command) -> None:
    """As JSON; the pool costs what its machines do."""
    done = heterosis("pool", offer, "--rate", 30, "--seeds", 1, "--requests", 500, "--json")
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert found["objective"] == "price"
    assert found["pool"]["fast"] == 0
    assert found["price_per_hour"] == pytest.approx(0.1 * found["pool"]["slow"])
    assert found["bound_rps"] > 30
    assert found["tried"][-1]["pool"] == found["pool"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rm2"], "say what to choose for"),
        (["rm2", "--budget", "-1"], "--budget must be above zero"),
        (["rm2", "--budget", "1", "--objective", "energy"], "say --rate"),
        (["rm3", "--budget", "1"], "neither a JSON file nor one of KAIROS' models: ncf, rm2"),
        (["rm2", "--budget", "1", "--policy", "nobody"], "no policy 'nobody'"),
        (["rm2", "--budget", "1", "--data", "/nowhere"], "there is no /nowhere/kairos"),
        (["none.json", "--budget", "1"], "cannot read the offer"),
        (["rm2", "--budget", "1000"], "more than 200000 pools"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(arguments: list[str], said: str, heterosis: Command) -> None:
    """With exit code 2."""
    done = heterosis("pool", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_energy_needs_the_power_of_every_type(offer: Path, heterosis: Command) -> None:
    """The message names what is missing."""
    done = heterosis("pool", offer, "--rate", 30, "--objective", "energy")
    assert done.returncode == 2
    assert "idle_power_w" in done.stderr

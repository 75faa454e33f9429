"""`heterosis devices --watch`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heterosis.profiling.meters import ReplayMeter
from heterosis.terms import Fleet

Command = Callable[..., Any]


def test_watches_and_records(tmp_path: Path, heterosis: Command) -> None:
    """Each device has a meter, or a reason why not; the trace can be played back."""
    trace = tmp_path / "power.csv"
    done = heterosis("devices", "--watch", "0.3", "--record", trace, "--json")
    found = msgspec.json.decode(done.stdout)
    names = {device["name"] for device in found["nodes"][0]["devices"]}
    assert {name for source in found["meters"] for name in source["devices"]} == names
    assert all(source["meter"] or source["note"] for source in found["meters"])
    assert found["window"]["seconds"] >= 0.3
    assert set(ReplayMeter(trace).read()) == set(found["window"]["energy"])
    assert msgspec.json.decode(done.stdout, type=Fleet).devices
    assert "default" not in found["modes"]["cpu"]


def test_says_what_is_wrong(heterosis: Command) -> None:
    """A record of nothing, and no time at all."""
    for arguments, message in ((["--record", "x.csv"], "say for how many seconds"), (["--watch", "0"], "above 0")):
        done = heterosis("devices", *arguments)
        assert done.returncode == 2
        assert message in done.stderr

"""`heterosis catalogue`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heterosis.catalogue import fleet_names, open_fleet
from heterosis.catalogue.comparison import Comparison
from heterosis.catalogue.types import types
from heterosis.terms import Fleet

Command = Callable[..., Any]


def test_lists_all(heterosis: Command) -> None:
    """Every type, whether its power is published, and what else there is."""
    done = heterosis("catalogue")
    assert done.returncode == 0
    assert all(entry.name in done.stdout for entry in types().type)
    assert "modelled" in done.stdout
    assert all(name in done.stdout for name in fleet_names())


def test_compares(heterosis: Command) -> None:
    """Models on the types asked for, and where every figure is from."""
    done = heterosis("catalogue", "orin-nx", "coral", "--model", "mobilenet-v1")
    assert "mobilenet-v1/edgetpu-int8" in done.stdout
    assert "orin-nx MaxQ" in done.stdout
    assert "github.com/RCL-lab/QutibenchWeb" in done.stdout
    assert "zcu104" not in done.stdout


def test_json(heterosis: Command) -> None:
    """The same as JSON."""
    found = msgspec.json.decode(heterosis("catalogue", "coral", "--json").stdout, type=Comparison)
    assert [entry.name for entry in found.types] == ["coral"]
    assert {row.type for row in found.rows} == {"coral"}


def test_figure(tmp_path: Path, heterosis: Command) -> None:
    """Drawn where it is asked for."""
    path = tmp_path / "bert.svg"
    assert heterosis("catalogue", "--model", "bert-99", "--figure", path).returncode == 0
    assert path.stat().st_size > 1000


def test_fleet(heterosis: Command) -> None:
    """A fleet in words, its types, and as JSON that other verbs take."""
    done = heterosis("catalogue", "--fleet", "edge-to-cloud")
    assert "orin-nx-2" in done.stdout
    assert "a10-server" in done.stdout
    assert "zcu104" not in done.stdout
    written = heterosis("catalogue", "--fleet", "edge-to-cloud", "--json").stdout
    assert msgspec.json.decode(written, type=Fleet) == open_fleet("edge-to-cloud")
    compared = heterosis("catalogue", "--fleet", "edge-to-cloud", "--model", "bert-99", "--json").stdout
    assert {row.type for row in msgspec.json.decode(compared, type=Comparison).rows} == {
        "orin-nx",
        "xavier-nx",
        "t4-server",
        "a10-server",
    }


def test_mistakes(tmp_path: Path, heterosis: Command) -> None:
    """What is wrong and what to do, and exit code 2."""
    for arguments, said in (
        (["orinnx"], "did you mean orin-nx"),
        (["--model", "bert"], "did you mean bert-99"),
        (["--fleet", "rack"], "did you mean edge-rack"),
        (["coral", "--fleet", "edge-rack"], "leave out either"),
        (["--figure", tmp_path / "a.svg"], "say which with --model"),
        (["coral", "--model", "bert-99", "--figure", tmp_path / "a.svg"], "nothing to draw"),
        (["--model", "bert-99", "--figure", tmp_path / "a.nothing"], "cannot draw to"),
    ):
        done = heterosis("catalogue", *arguments)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())

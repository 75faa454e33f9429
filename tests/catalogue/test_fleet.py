"""Fleets as files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.catalogue import fleet_names, open_fleet
from heterosis.catalogue.fleet import make_fleet
from heterosis.catalogue.types import types
from heterosis.terms.errors import UsageError


@pytest.mark.parametrize("name", fleet_names())
def test_shipped_fleets_open(name: str) -> None:
    """Every device has power figures and a name of its own."""
    fleet = open_fleet(name)
    names = [device.name for device in fleet.devices]
    assert len(set(names)) == len(names) > 1
    for device in fleet.devices:
        for mode in device.type.power_modes:
            assert (device.dynamic_power_w(mode.name) or 0) > 0


def test_edge_rack() -> None:
    """Twelve devices of six types, numbered through the nodes, each with its slots, memory and link."""
    fleet = open_fleet("edge-rack")
    assert len(fleet.devices) == 12
    assert len({device.type.name for device in fleet.devices}) == 6
    assert [device.name for device in fleet.devices][2:5] == ["orin-nx-1", "orin-nx-2", "orin-nx-3"]
    assert [node.name for node in fleet.nodes][2:5] == ["orin-nx-1", "orin-nx-2", "orin-nx-3"]
    assert fleet.nodes[2].devices[0].memory_bytes == 16_000_000_000
    assert fleet.devices[-1].slots == 2
    assert (fleet.nodes[0].link_ms, fleet.nodes[0].bandwidth_mbit_s) == (0.3, 1000)


@given(
    st.lists(
        st.tuples(st.sampled_from([entry.name for entry in types().type]), st.integers(1, 4), st.integers(1, 3)),
        min_size=1,
        max_size=5,
    )
)
def test_counts(wanted: list[tuple[str, int, int]]) -> None:
    """Counts of nodes and of devices multiply; names are unique; link and bandwidth are none unless given."""
    lines = (
        f'[[node]]\nname = "n{place}"\ncount = {nodes}\ndevice = [{{ type = "{type_}", count = {devices} }}]\n'
        for place, (type_, devices, nodes) in enumerate(wanted)
    )
    fleet = make_fleet("".join(lines).encode(), "test")
    assert len(fleet.nodes) == sum(nodes for _, _, nodes in wanted)
    assert len(fleet.devices) == sum(devices * nodes for _, devices, nodes in wanted)
    assert len({device.name for device in fleet.devices}) == len(fleet.devices)
    assert {(node.link_ms, node.bandwidth_mbit_s) for node in fleet.nodes} == {(0.0, None)}


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """A path that ends in .toml is a file."""
    path = tmp_path / "two.toml"
    path.write_text('[[node]]\nname = "shed"\nlink_ms = 4\ndevice = [{ type = "coral", count = 2 }]\n')
    fleet = open_fleet(path)
    assert [device.name for device in fleet.devices] == ["coral-1", "coral-2"]
    assert open_fleet(str(path)) == fleet


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("node = 3", r"two is no fleet: .*`\$.node`.* A fleet has \[\[node\]\] tables"),
        ("", "two is no fleet: .*missing required field `node`"),
        ('[[node]]\nname = "a"\ndevice = []', "length >= 1"),
        ('[[node]]\nname = "a"\nslots = 2\ndevice = [{ type = "coral" }]', "unknown field `slots`"),
        ('[[node]]\nname = "a"\ndevice = [{ type = "coral", count = 0 }]', "two is no fleet: .*>= 1"),
        ('[[node]]\nname = "a"\nlink_ms = -1\ndevice = [{ type = "coral" }]', "two is no fleet: .*>= 0"),
        ('[[node]]\nname = "a"\ndevice = [{ type = "orin-nano" }]', "'orin-nano'; did you mean .*orin-nx"),
        ("[[node]", "two is no fleet: "),
        (2 * '[[node]]\nname = "a"\ndevice = [{ type = "coral" }]\n', "2 nodes named 'a'; give each"),
    ],
)
def test_mistakes(content: str, said: str) -> None:
    """What is wrong, where, and what to do."""
    with pytest.raises(UsageError, match=said):
        make_fleet(content.encode(), "two")


def test_no_such_fleet(tmp_path: Path) -> None:
    """Names are answered with the nearest, paths with the system's reason."""
    with pytest.raises(UsageError, match=r"no fleet 'edge-rak' ships .*did you mean edge-rack.*ends in \.toml"):
        open_fleet("edge-rak")
    with pytest.raises(UsageError, match=r"cannot read the fleet .*none\.toml: No such file"):
        open_fleet(tmp_path / "none.toml")

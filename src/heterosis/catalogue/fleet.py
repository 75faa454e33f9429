"""Fleets as files: nodes, the devices of the catalogue that they hold, and the links to them.

A file has ``[[node]]`` tables, each with a ``name``, its ``device`` list, and, where it is away from the scheduler,
``link_ms`` and ``bandwidth_mbit_s``. A node or a device with ``count = 3`` stands for three alike, numbered from 1.
Devices are named by their type and numbered through the whole fleet, for example ``orin-nx-2``.
"""

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import msgspec

from heterosis.catalogue.records import nearest
from heterosis.catalogue.types import find_entry, find_type
from heterosis.terms import Device, Fleet, Node
from heterosis.terms.errors import UsageError

Count = Annotated[int, msgspec.Meta(ge=1)]


class _Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    count: Count = 1


class _Nodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    device: Annotated[tuple[_Devices, ...], msgspec.Meta(min_length=1)]
    count: Count = 1
    link_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    bandwidth_mbit_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class FleetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fleet as its file has it."""

    node: Annotated[tuple[_Nodes, ...], msgspec.Meta(min_length=1)]
    title: str = ""
    note: str = ""


def fleet_names() -> tuple[str, ...]:
    """Return the names of the fleets that ship with heterosis."""
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in _shipped().iterdir() if file.name.endswith(".toml"))
    )


def open_fleet(name_or_path: str | Path) -> Fleet:
    """Return a fleet that ships with heterosis, by its name, or that of a file, by its path (it ends in ``.toml``).

    Raise UsageError where there is no such fleet, where the file is not one, or where it names a type that the
    catalogue does not have.
    """
    name = str(name_or_path)
    if not name.endswith(".toml"):
        if name not in fleet_names():
            raise UsageError(
                f"no fleet {name!r} ships with heterosis; {nearest(name, list(fleet_names()))}. "
                "A fleet of your own is a file that ends in .toml"
            )
        return make_fleet(_shipped().joinpath(f"{name}.toml").read_bytes(), name)
    try:
        return make_fleet(Path(name).read_bytes(), name)
    except OSError as error:
        raise UsageError(f"cannot read the fleet {name}: {error.strerror or error}") from None


def make_fleet(content: bytes, name: str) -> Fleet:
    """Return the fleet of a file's content. Raise UsageError, naming the file, where it is no fleet."""
    try:
        file = msgspec.toml.decode(content, type=FleetFile)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{name} is no fleet: {error}. A fleet has [[node]] tables like "
            '{ name = "rack", device = [{ type = "orin-nx", count = 3 }] }'
        ) from None
    numbers: Counter[str] = Counter()
    nodes = tuple(
        Node(
            name=node_name,
            devices=tuple(_devices(entry.device, numbers)),
            link_ms=entry.link_ms,
            bandwidth_mbit_s=entry.bandwidth_mbit_s,
        )
        for entry in file.node
        for node_name in _numbered(entry.name, entry.count)
    )
    for node_name, count in Counter(node.name for node in nodes).items():
        if count > 1:
            raise UsageError(f"{name} has {count} nodes named {node_name!r}; give each a name of its own, or a count")
    return Fleet(nodes=nodes)


def _shipped() -> Traversable:
    return files(__package__).joinpath("fleets")


def _devices(entries: tuple[_Devices, ...], numbers: Counter[str]) -> Iterator[Device]:
    for entry in entries:
        known = find_entry(entry.type)
        for _ in range(entry.count):
            numbers[entry.type] += 1
            yield Device(
                name=f"{entry.type}-{numbers[entry.type]}",
                type=find_type(entry.type),
                slots=known.slots,
                memory_bytes=known.memory_bytes,
            )


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]

"""`heterosis catalogue`: what is published about device types."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import output, print_json, remark
from heterosis.cli.options import Json
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterosis.catalogue.comparison import Comparison, Row
    from heterosis.catalogue.types import TypeEntry
    from heterosis.terms import Fleet


def catalogue(
    *names: Annotated[str, Parameter(name="TYPE", help="Device types to show, for example orin-nx; by default all.")],
    model: Annotated[str | None, Parameter(help="Compare the types as they run this model.")] = None,
    fleet: Annotated[
        str | None,
        Parameter(
            help="Show a fleet and its types: one that ships with heterosis, by name, or a file that ends in .toml."
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        Parameter(help="Draw time against joules of --model to this file; its suffix decides the format."),
    ] = None,
    json: Json = False,
) -> None:
    """List and compare device types that others measured: power, prices, and how long and how many joules models take.

    Every figure names its source; what is not published but modelled says so.

    ```
    heterosis catalogue
    heterosis catalogue orin-nx coral
    heterosis catalogue --model resnet50 --figure resnet50.svg
    heterosis catalogue agx-orin --json
    heterosis catalogue --fleet edge-rack --json > fleet.json
    ```

    With --fleet alone, --json writes the devices as `heterosis devices` does and other verbs take them.
    """
    from heterosis.catalogue import open_fleet
    from heterosis.catalogue.comparison import compare

    if figure is not None and model is None:
        raise UsageError("a figure is of one model: say which with --model, for example --model resnet50")
    devices = None if fleet is None else open_fleet(fleet)
    if devices is not None and names:
        raise UsageError("a fleet has types of its own: leave out either --fleet or the types")
    if devices is not None and json and model is None:
        print_json(devices)
        return
    found = compare(names if devices is None else _types_of(devices), model)
    if figure is not None and model is not None:
        _draw(found.rows, figure, model)
    if json:
        print_json(found)
        return
    if devices is not None:
        _show_fleet(devices)
    _show_types(found.types)
    if names or model:
        _show_rows(found.rows)
        _show_sources(found)
    elif devices is None:
        _show_more()


def _types_of(fleet: "Fleet") -> list[str]:
    return list(dict.fromkeys(device.type.name for device in fleet.devices))


def _draw(rows: "Sequence[Row]", path: Path, model: str) -> None:
    from heterosis.figures.catalogue import draw_catalogue

    if not rows:
        raise UsageError(f"there is nothing to draw: none of these types has figures of {model!r}")
    try:
        draw_catalogue(rows, path, model=model)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot draw to {path}: {error}") from None
    remark(f"drawn to {path}")


def _show_fleet(fleet: "Fleet") -> None:
    from rich.table import Table

    table = Table("node", "devices", box=None, pad_edge=False)
    for name in ("link ms", "Mbit/s"):
        table.add_column(name, justify="right")
    for node in fleet.nodes:
        devices = ", ".join(device.name for device in node.devices)
        table.add_row(node.name, devices, f"{node.link_ms:g}", _known(node.bandwidth_mbit_s))
    console = output()
    console.print(table)
    console.print()


def _show_types(entries: "Sequence[TypeEntry]") -> None:
    from rich.table import Table

    table = Table("type", "kind", "engine", "mode", box=None, pad_edge=False)
    for name in ("slots", "GB", "load ms", "idle W", "active W", "asleep W"):
        table.add_column(name, justify="right")
    table.add_column("power is")
    for name in ("$ to buy", "$ an hour"):
        table.add_column(name, justify="right")
    table.add_column("price is")
    for entry in entries:
        for mode in entry.mode:
            table.add_row(
                entry.name,
                entry.kind,
                entry.engine,
                mode.name,
                str(entry.slots),
                "-" if entry.memory_bytes is None else f"{entry.memory_bytes / 1e9:.0f}",
                f"{entry.load_ms:.0f}",
                f"{mode.idle_w:.4g}",
                f"{mode.active_w:.4g}",
                _known(entry.sleep_w),
                mode.quality,
                _known(entry.purchase_price),
                _known(entry.price_per_hour),
                entry.price_quality or "-",
            )
    console = output()
    console.print(table)
    console.print("\nTimes to load and watts asleep are modelled; what is unverified was not looked up in its source.")


def _show_rows(rows: "Sequence[Row]") -> None:
    from rich.table import Table

    from heterosis.catalogue.curves import EIGHT

    table = Table("", "variant", "on", box=None, pad_edge=False)
    for name in ("ms", "ms of 8", "most items/s", "dynamic J", "J, 1 by 1", "J in 8s", "accuracy"):
        table.add_column(name, justify="right")
    table.add_column("is")
    for row in sorted(rows, key=lambda row: (row.model, row.of(EIGHT).total_j)):
        one, eight = row.of(1), row.of(EIGHT)
        figures = (
            one.latency_ms,
            eight.latency_ms,
            row.batches[-1].throughput_per_s,
            eight.dynamic_j,
            one.total_j,
            eight.total_j,
        )
        told = [f"{figure:.3g}" if figure < 1e3 else f"{figure:.0f}" for figure in figures]  # noqa: PLR2004
        table.add_row(
            "*" if row.best else "", row.variant, row.place, *told, f"{row.accuracy:.3f} {row.metric}", row.quality
        )
    console = output()
    console.print()
    console.print(table)
    console.print(
        "\nJoules are of one item, with its share of the idle power while every slot is busy; dynamic J, in batches of "
        "eight, are without it. * marks what no other row of the model beats in time alone, joules in eights, accuracy "
        "and price together; a price that is not known of both decides nothing."
    )


def _show_sources(found: "Comparison") -> None:
    """Say of every figure where it comes from, each source once."""
    said: dict[str, list[str]] = defaultdict(list)
    for entry in found.types:
        for mode in entry.mode:
            note = f", {mode.note}" if mode.note else ""
            said[f"{found.sources[mode.source]}{note}"].append(f"power of {entry.name} {mode.name}")
        if entry.price_source is not None:
            said[str(found.sources[entry.price_source])].append(f"price of {entry.name}")
    for row in found.rows:
        said[row.source].append(f"{row.variant} on {row.place}")
    console = output()
    console.print()
    for where, figures in said.items():
        console.print(f"{', '.join(figures)}: {where}", style="dim", markup=False)


def _show_more() -> None:
    from heterosis.catalogue import fleet_names, pipeline_names
    from heterosis.catalogue.models import models

    console = output()
    console.print()
    for what, names in (("models", models().model), ("fleets", fleet_names()), ("pipelines", pipeline_names())):
        console.print(f"{what}: {', '.join(names)}", markup=False)


def _known(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4g}"

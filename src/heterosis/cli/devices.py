"""`heterosis devices`: what hardware there is, and what it draws."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from heterosis.cli.console import interruptible, output, print_json, progress, remark
from heterosis.cli.options import Json
from heterosis.terms.errors import UsageError

if TYPE_CHECKING:
    from heterosis.devices import Machine
    from heterosis.profiling.meters import CompositeMeter, EnergyLog, Window
    from heterosis.terms import Energy

BREAK_S = 0.2


def devices(
    *,
    watch: Annotated[
        float | None, Parameter(help="Read every device's energy meter for so many seconds, and tell the watts.")
    ] = None,
    record: Annotated[
        Path | None, Parameter(help="With --watch: write what the meters told to this file, as a trace (CSV).")
    ] = None,
    json: Json = False,
) -> None:
    """List the devices of this machine: slots, memory, power with its source, power modes, and what could not be seen.

    Power figures are the catalogue's, for devices that it knows. With --watch, what counts the joules of each device is
    opened and read: where nothing can, its energy is unknown, and never 0 J.

    ```
    heterosis devices
    heterosis devices --watch 5
    heterosis devices --watch 60 --record power.csv
    heterosis devices --json > fleet.json
    ```
    """
    from heterosis.devices import look
    from heterosis.devices.modes.registry import open_modes

    if record is not None and watch is None:
        raise UsageError("--record writes what --watch reads: say for how many seconds, for example --watch 60")
    if watch is not None and watch <= 0:
        raise UsageError(f"--watch needs a number of seconds above 0, and got {watch:g}")
    machine = look()
    names = [finding.device.name for finding in machine.findings]
    with open_modes(names) as modes:
        settable = {name: modes.modes(name)[1:] for name in names}
        for each in modes.recovered:
            remark(each)
    window, meter = (None, None) if watch is None else _watch(machine, watch, record)
    if json:
        print_json(
            {
                "nodes": machine.nodes,
                "findings": machine.findings,
                "unseen": machine.unseen,
                "modes": settable,
                "meters": [] if meter is None else meter.sources,
                "window": window,
            }
        )
        return
    _show_devices(machine)
    _show_facts(machine, settable)
    if window is not None and meter is not None:
        _show_window(window, meter)


def _watch(machine: "Machine", seconds: float, record: Path | None) -> "tuple[Window, CompositeMeter]":
    import os
    import time

    from heterosis.profiling.meters import EnergyLog, open_meter

    with open_meter([finding.device for finding in machine.findings], [os.getpid()]) as meter:
        by_device = _ByDevice(meter)
        with EnergyLog(by_device, resolution_s=meter.resolution_s) as log, progress("reading meters", seconds) as step:
            began = time.monotonic()
            with interruptible("nothing was written"):
                while (passed := time.monotonic() - began) < seconds:
                    time.sleep(min(BREAK_S, seconds - passed))
                    step(done=min(passed, seconds))
            window = log.window(began, time.monotonic() - 1e-6)
            if record is not None:
                _save(log, record)
    return window, meter


class _ByDevice:
    """What each meter tells, by its devices, idle and dynamic apart."""

    def __init__(self, meter: "CompositeMeter") -> None:
        self._meter = meter

    def read(self) -> "dict[str, Energy]":
        return {
            f"{', '.join(source.devices)} {domain}": energy
            for source, energies in self._meter.by_source().items()
            for domain, energy in energies.items()
        }


def _save(log: "EnergyLog", path: Path) -> None:
    try:
        log.save(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    remark(f"recorded to {path}")


def _show_devices(machine: "Machine") -> None:
    from rich.table import Table

    table = Table("node", "device", "type", "slots", "memory", "mode", box=None, pad_edge=False)
    for name in ("idle", "busy"):
        table.add_column(name, justify="right")
    table.add_column("power is")
    for node in machine.nodes:
        for device in node.devices:
            memory = "unknown" if device.memory_bytes is None else f"{device.memory_bytes / 2**30:.1f} GiB"
            for mode in device.type.power_modes:
                power = [
                    "unknown" if watts is None else f"{watts:.1f} W"
                    for watts in (mode.idle_power_w, mode.active_power_w)
                ]
                quality = "unknown" if device.type.quality == "none" else device.type.quality.value
                table.add_row(
                    node.name, device.name, device.type.name, str(device.slots), memory, mode.name, *power, quality
                )
    output().print(table)


def _show_facts(machine: "Machine", settable: dict[str, tuple[str, ...]]) -> None:
    console = output()
    for finding in machine.findings:
        console.print()
        console.print(f"{finding.device.name}: {finding.model}", markup=False, style="bold")
        modes = settable[finding.device.name]
        facts = finding.facts | {"power modes": ", ".join(modes) or "none that can be set from here"}
        if finding.device.type.source:
            facts["power"] = finding.device.type.source
        for name, fact in facts.items():
            console.print(f"  {name}: {fact}", markup=False)
    if machine.unseen:
        console.print()
        console.print("Could not be looked at:", style="bold")
        for unseen in machine.unseen:
            console.print(f"  {unseen.what}: {unseen.reason}", markup=False)


def _show_window(window: "Window", meter: "CompositeMeter") -> None:
    from rich.table import Table

    from heterosis.profiling.meters import DYNAMIC, IDLE

    table = Table("device", "meter", box=None, pad_edge=False)
    for name in ("idle W", "dynamic W"):
        table.add_column(name, justify="right")
    table.add_column("is")
    table.add_column("note")
    for source in meter.sources:
        name = ", ".join(source.devices)
        powers = [window.power(f"{name} {domain}") for domain in (IDLE, DYNAMIC)]
        told = ["unknown" if power.joules is None else f"{power.joules:.2f}" for power in powers]
        table.add_row(name, source.meter or "none", *told, powers[1].quality.value, source.note)
    console = output()
    console.print(f"\nFor {window.seconds:.1f} s, of this process alone where CPU time says whose it is:")
    console.print(table)

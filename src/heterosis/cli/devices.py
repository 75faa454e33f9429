"""`heterosis devices`: what hardware there is."""

from heterosis.cli.console import output, print_json
from heterosis.cli.options import Json


def devices(*, json: Json = False) -> None:
    """List the devices of this machine, as the planner sees them: slots, memory, and power with its source.

    ```
    heterosis devices
    heterosis devices --json
    ```
    """
    from heterosis.devices import local_fleet

    fleet = local_fleet()
    if json:
        print_json(fleet)
        return
    from rich.table import Table

    table = Table("node", "device", "type", "slots", "memory", "idle", "busy", "power is", box=None, pad_edge=False)
    sources = []
    for node in fleet.nodes:
        for device in node.devices:
            memory = "unknown" if device.memory_bytes is None else f"{device.memory_bytes / 2**30:.1f} GiB"
            for mode in device.type.power_modes:
                power = [
                    "unknown" if watts is None else f"{watts:.1f} W"
                    for watts in (mode.idle_power_w, mode.active_power_w)
                ]
                quality = device.type.quality.value
                table.add_row(node.name, device.name, device.type.name, str(device.slots), memory, *power, quality)
            if device.type.source:
                sources.append(f"{device.name}: {device.type.source}")
    console = output()
    console.print(table)
    console.print()
    for source in sources:
        console.print(source, markup=False)

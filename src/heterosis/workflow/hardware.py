"""What a server holds of the machine that it runs on: the meter of its devices, and their power modes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from heterosis.terms import Device

if TYPE_CHECKING:
    from heterosis.devices import PowerModes
    from heterosis.profiling.meters import CompositeMeter


@contextmanager
def held(devices: Sequence[Device]) -> Iterator[tuple["CompositeMeter", "PowerModes"]]:
    """Open the best meter for each device, for this process and all that it starts, and the devices' power modes.

    What counts each device is logged. In the end the modes are what they were before.
    """
    import structlog

    from heterosis.devices import node_name, open_modes
    from heterosis.profiling.meters import open_meter

    log = structlog.get_logger()
    with (
        open_modes([device.name for device in devices], node=node_name()) as modes,
        open_meter(devices, [os.getpid()]) as meter,
    ):
        modes.when_changed(meter.switched)
        for each in modes.recovered:
            log.warning(each)
        for source in meter.sources:
            log.info("energy", devices=source.devices, meter=source.meter or "none", note=source.note)
        yield meter, modes

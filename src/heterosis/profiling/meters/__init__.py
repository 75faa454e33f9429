"""Energy meters, one a file, behind `EnergyMeter`."""

from collections.abc import Callable

from heterosis.profiling.meters.meter import DYNAMIC, IDLE, EnergyMeter
from heterosis.profiling.meters.utilisation import UtilisationMeter
from heterosis.terms import Device

METERS: dict[str, Callable[[Device], EnergyMeter]] = {"utilisation": UtilisationMeter}

__all__ = ["DYNAMIC", "IDLE", "METERS", "EnergyMeter", "UtilisationMeter"]

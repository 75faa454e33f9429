"""Energy meters, one a file, behind `EnergyMeter`; `open_meter` finds the best for each device."""

from heterosis.profiling.meters.composite import METERS, CompositeMeter, Source, open_meter
from heterosis.profiling.meters.log import EnergyLog, Window
from heterosis.profiling.meters.meter import DYNAMIC, IDLE, EnergyMeter, HardwareMeter
from heterosis.profiling.meters.replay import ReplayMeter
from heterosis.profiling.meters.utilisation import UtilisationMeter

__all__ = [
    "DYNAMIC",
    "IDLE",
    "METERS",
    "CompositeMeter",
    "EnergyLog",
    "EnergyMeter",
    "HardwareMeter",
    "ReplayMeter",
    "Source",
    "UtilisationMeter",
    "Window",
    "open_meter",
]

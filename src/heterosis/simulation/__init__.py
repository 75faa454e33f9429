"""Drives the scheduling core in virtual time."""

from heterosis.control.energy import Joules
from heterosis.control.power import Power
from heterosis.simulation.failures import DeviceFailure, Failure, RandomFailures, Slowdown
from heterosis.simulation.network import Link, Network, Traffic
from heterosis.simulation.occupancy import Occupancy
from heterosis.simulation.outcome import Outcome
from heterosis.simulation.repetition import Interval, interval, repeat
from heterosis.simulation.replay import Divergence, replay
from heterosis.simulation.report import Report, make_report
from heterosis.simulation.setting import Setting, Steering
from heterosis.simulation.simulator import Simulator
from heterosis.simulation.sizes import Empirical, Fixed, LogNormal, Shares, Uniform
from heterosis.simulation.workload import Arrival, RequestClass, Sizes, single_call, stream, workload

__all__ = [
    "Arrival",
    "DeviceFailure",
    "Divergence",
    "Empirical",
    "Failure",
    "Fixed",
    "Interval",
    "Joules",
    "Link",
    "LogNormal",
    "Network",
    "Occupancy",
    "Outcome",
    "Power",
    "RandomFailures",
    "Report",
    "RequestClass",
    "Setting",
    "Shares",
    "Simulator",
    "Sizes",
    "Slowdown",
    "Steering",
    "Traffic",
    "Uniform",
    "interval",
    "make_report",
    "repeat",
    "replay",
    "single_call",
    "stream",
    "workload",
]

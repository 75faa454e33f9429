"""Drives the scheduling core in virtual time."""

from heterosis.simulation.outcome import Outcome
from heterosis.simulation.replay import Divergence, replay
from heterosis.simulation.simulator import Simulator
from heterosis.simulation.workload import Arrival, RequestClass, single_call, workload

__all__ = ["Arrival", "Divergence", "Outcome", "RequestClass", "Simulator", "replay", "single_call", "workload"]

"""Drives the scheduling core in virtual time."""

from heterosis.simulation.outcome import Outcome
from heterosis.simulation.replay import Divergence, replay
from heterosis.simulation.simulator import Simulator

__all__ = ["Divergence", "Outcome", "Simulator", "replay"]

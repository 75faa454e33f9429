"""From one plan of a fleet to the next: by which steps, at what cost, and whether that pays."""

from heterosis.planning.fleet.changes.headroom import Headroom, load_of
from heterosis.planning.fleet.changes.payback import Decision, worthwhile
from heterosis.planning.fleet.changes.settling import settled
from heterosis.planning.fleet.changes.transitions import Step, Transition, transition

__all__ = ["Decision", "Headroom", "Step", "Transition", "load_of", "settled", "transition", "worthwhile"]

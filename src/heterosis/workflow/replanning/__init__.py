"""The planner in a process of its own: whoever serves asks it for plans, and goes on serving.

`PlannerProcess` starts it; `FleetQuestion` and `MachineQuestion` are what it can be asked, `Replanned` is its answer.
"""

from heterosis.workflow.replanning.process import PlannerProcess
from heterosis.workflow.replanning.questions import FleetQuestion, MachineQuestion, Replanned

__all__ = ["FleetQuestion", "MachineQuestion", "PlannerProcess", "Replanned"]

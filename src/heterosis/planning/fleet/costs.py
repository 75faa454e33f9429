"""What an allotment comes to by the first objective of its task."""

from heterosis.planning.fleet.allotment import Allotment, accuracy, busy_slots, power_w, price_per_hour
from heterosis.planning.fleet.task import Objective, Task
from heterosis.terms.errors import UsageError


def by_objective(task: Task, allotment: Allotment) -> float | None:
    """Return watts, price per hour, grams of CO2 per hour, devices, busy slots, or accuracy; None where unknown."""
    objective = task.objectives[0]
    if objective is Objective.DEVICES:
        return float(sum(allotment.devices().values()))
    if objective is Objective.PRICE:
        return price_per_hour(task, allotment)
    if objective is Objective.BUSY:
        return busy_slots(allotment)
    if objective is Objective.ACCURACY:
        rate = sum(workload.rate_rps for workload in task.workloads)
        return sum((accuracy(each, allotment) or 0.0) * each.rate_rps / rate for each in task.workloads)
    watts = power_w(task, allotment)
    if objective is Objective.CARBON and watts is not None:
        return watts * (task.carbon_g_per_kwh or 0.0) / 1e3
    return watts


def cost(task: Task, allotment: Allotment) -> float:
    """Return the same, the less the better. Raise UsageError where it is unknown."""
    value = by_objective(task, allotment)
    if value is None:
        raise UsageError(
            f"the {task.objectives[0].value} of a device of this fleet is unknown; plan for devices instead"
        )
    return -value if task.objectives[0] is Objective.ACCURACY else value

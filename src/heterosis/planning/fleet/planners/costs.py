"""What an allotment costs by the first objective of its task."""

from heterosis.planning.fleet.allotment import Allotment, accuracy, busy_slots, power_w, price_per_hour
from heterosis.planning.fleet.task import Objective, Task
from heterosis.terms.errors import UsageError


def cost(task: Task, allotment: Allotment) -> float:
    """Return devices, price per hour, watts, grams of CO2 per hour, accuracy lost, or busy slots; the less the better.

    Raise UsageError where a figure that it takes is unknown.
    """
    objective = task.objectives[0]
    value: float | None
    if objective is Objective.DEVICES:
        value = float(sum(allotment.devices().values()))
    elif objective is Objective.PRICE:
        value = price_per_hour(task, allotment)
    elif objective is Objective.BUSY:
        value = busy_slots(allotment)
    elif objective is Objective.ACCURACY:
        rate = sum(workload.rate_rps for workload in task.workloads)
        value = -sum((accuracy(each, allotment) or 0.0) * each.rate_rps / rate for each in task.workloads)
    else:
        value = power_w(task, allotment)
        if value is not None and objective is Objective.CARBON:
            value *= (task.carbon_g_per_kwh or 0.0) / 1e3
    if value is None:
        raise UsageError(f"the {objective.value} of a device of this fleet is unknown; plan for devices instead")
    return value

"""How long it takes to plan for a fleet, from the profile to the allotment, as stages, types and devices grow.

Times are CPU time of one process, in seconds. ``points`` are operating points of a stage: variants by types by batch
sizes. A fleet of 1,000 devices of the same types must not take much longer than one of 100.
"""

import time

import msgspec

from heterosis.planning.fleet import Task, allot, enumerate_options
from heterosis.testing.tasks import make_task

CASES = {
    "3 stages, 10 types, 200 points each": {"stages": 3, "kinds": 10, "variants": 5, "batches": (1, 2, 4, 8)},
    "20 stages, 20 types": {"stages": 20, "kinds": 20, "variants": 2, "batches": (1, 4)},
}
PER_STAGE_MS = 300.0
TYPES, FEW, MANY = 20, 100, 1000
RATE_PER_DEVICE = 4.0
SEED = 1


def run() -> dict[str, float]:
    """Measure, and return seconds, options and ratios."""
    figures: dict[str, float] = {}
    for name, size in CASES.items():
        stages = int(size["stages"])  # type: ignore[call-overload]
        task = make_task(SEED, devices=5, rate_rps=50.0, slo_ms=PER_STAGE_MS * stages, **size)  # type: ignore[arg-type]
        figures |= {f"{name}: {what}": value for what, value in _measured(task).items()}
    times = {}
    for count in (FEW, MANY):
        task = make_task(
            SEED,
            stages=3,
            kinds=TYPES,
            devices=count // TYPES,
            rate_rps=RATE_PER_DEVICE * count,
            slo_ms=3 * PER_STAGE_MS,
        )
        measured = _measured(task)
        times[count] = measured["CPU s"]
        figures |= {f"{count} devices of {TYPES} types: {what}": value for what, value in measured.items()}
    figures[f"{MANY} devices / {FEW} devices, CPU time"] = times[MANY] / times[FEW]
    return figures


def _measured(task: Task) -> dict[str, float]:
    """Plan once; fail where there is no plan."""
    task = msgspec.structs.replace(task)  # what it keeps once computed is computed anew
    wall, cpu = time.perf_counter(), time.process_time()
    options = len(enumerate_options(task))
    listed = time.process_time() - cpu
    cpu = time.process_time()
    answer = allot(task)
    assert answer is not None
    return {
        "options": options,
        "to list them, CPU s": listed,
        "CPU s": time.process_time() - cpu,
        "wall s": time.perf_counter() - wall,
        "devices on": sum(answer.allotment.devices().values()),
    }

"""How long a day at 1,000 requests a second takes to simulate, with our policy, on one core.

The plan has 16 instances of four types that may batch; the load is 70 % of what they do without. Requests are made as
they come, so what grows with their number is only what is recorded of each: 49 bytes. The whole process's peak of
memory is told too; it counts what ran before in this process.
"""

import resource

from benchmarks.fleets import DAY_TYPES_MS, measure, mixed

RATE_RPS = 1000.0
DAY = int(RATE_RPS * 86_400)
MAX_BATCH = 4


def run() -> dict[str, float]:
    """Simulate a hundredth of the day, with and without our policy's work."""
    return _measure("fcfs", 100) | _measure("heterosis", 100)


def run_tenth() -> dict[str, float]:
    """Simulate a tenth of the day; takes minutes."""
    return _measure("heterosis", 10)


def _measure(policy: str, part: int) -> dict[str, float]:
    plan, _ = mixed(policy, DAY_TYPES_MS, MAX_BATCH)
    count = DAY // part
    run = measure(plan, RATE_RPS, count)
    return {
        f"{policy}, 1/{part} of a day: simulated requests/s": count / run.cpu_s,
        f"{policy}, 1/{part} of a day: CPU minutes of a whole day": run.cpu_s * part / 60,
        f"{policy}, 1/{part} of a day: share answered in time": run.outcome.attainment,
        f"{policy}, 1/{part} of a day: MB of memory at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }

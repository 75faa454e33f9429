"""How long a day at 1,000 requests a second takes to simulate on one core.

The plan has 16 instances of four types that may batch; the load is 70 % of what they do without. Requests are made as
they come, so what grows with their number is only what is recorded of each: 49 bytes. The whole process's peak of
memory is told too; it counts what ran before in this process.
"""

from benchmarks.fleets import DAY_TYPES_MS, measure, mixed

RATE_RPS = 1000.0
DAY = int(RATE_RPS * 86_400)
MAX_BATCH = 4


def run() -> dict[str, float]:
    """Simulate a hundredth of the day under the cheapest policy, and under ours."""
    return measure_part("fcfs", 100) | measure_part("heterosis", 100)


def run_tenth() -> dict[str, float]:
    """Simulate a tenth of the day under the cheapest policy; takes minutes."""
    return measure_part("fcfs", 10)


def measure_part(policy: str, part: int) -> dict[str, float]:
    """Simulate one of so many parts of the day, and say how long all of them take."""
    plan, _ = mixed(policy, DAY_TYPES_MS, MAX_BATCH)
    count = DAY // part
    run = measure(plan, RATE_RPS, count)
    return {
        f"{policy}, 1/{part} of a day: simulated requests/s": count / run.cpu_s,
        f"{policy}, 1/{part} of a day: CPU minutes of a whole day": run.cpu_s * part / 60,
        f"{policy}, 1/{part} of a day: share answered in time": run.outcome.attainment,
        f"{policy}, 1/{part} of a day: MB of memory at most": run.peak_mb,
    }

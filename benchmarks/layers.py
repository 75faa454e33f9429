"""Where the time of a simulated request goes, by layer: simulator, records, scheduling core, policy.

The profiler makes every call dearer, so the shares of layers that call many small functions are overstated. Beside them
stand the CPU time of the same run without it, and the part of that of the core with the policy.
"""

import cProfile
import pstats
from collections import Counter
from pathlib import PurePath

from benchmarks.fleets import SETTINGS, measure

POLICIES = ("fcfs", "heterosis")
REQUESTS = 20_000
REPEATS = 3
LAYERS = {
    "scheduling/policies": "policy",
    "scheduling/admission": "policy",
    "scheduling/mixing": "policy",
    "scheduling/outlook": "policy",
    "scheduling/prices": "policy",
    "scheduling/fairness": "policy",
    "scheduling/shortcuts": "policy",
    "scheduling/lister": "policy",
    "scheduling/listing": "policy",
    "scheduling/batching": "policy",
    "scheduling/view": "what policies ask",
    "scheduling/estimates": "what policies ask",
    "scheduling/capacity": "what policies ask",
    "scheduling/backlog": "what policies ask",
    "scheduling": "core",
    "simulation/records": "records",
    "simulation/service": "run times",
    "simulation/workload": "arrivals",
    "benchmarks": "arrivals",
    "simulation": "simulator and kernel",
}
"""The layer of each folder or module; the first that fits counts."""
Function = tuple[str, int, str]


def run() -> dict[str, float]:
    """Split the time of a request, in microseconds of CPU time, in every setting."""
    figures: dict[str, float] = {}
    for setting in SETTINGS:
        for policy in POLICIES:
            name = f"{policy}, {setting}"
            plan, rate = SETTINGS[setting](policy)
            whole = min(measure(plan, rate, REQUESTS).cpu_s for _ in range(REPEATS)) / REQUESTS * 1e6
            figures[f"{name}: us per request"] = whole
            share = min(measure(plan, rate, REQUESTS, timed=True).deciding for _ in range(REPEATS))
            figures[f"{name}: of it core and policy"] = whole * share
            spent = layers(setting, policy)
            for layer, seconds in spent.most_common():
                figures[f"{name}: % in {layer}, profiled"] = 100 * seconds / spent.total()
    return figures


def layers(setting: str, policy: str) -> Counter[str]:
    """Profile one run: seconds by layer. What is built in counts for the layer that calls it."""
    plan, rate = SETTINGS[setting](policy)
    profile = cProfile.Profile()
    profile.enable()
    measure(plan, rate, REQUESTS)
    profile.disable()
    spent: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        layer = _layer(function)
        if layer is not None:
            spent[layer] += own
        else:
            for caller, (_, _, part, _) in callers.items():
                spent[_layer(caller) or "elsewhere"] += part
    return spent


def _layer(function: Function) -> str | None:
    path = PurePath(function[0]).with_suffix("").as_posix()
    return next((layer for part, layer in LAYERS.items() if f"/{part}" in path), None)

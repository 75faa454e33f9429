"""SynergAI's setting (TECS'25): one x86 VM and two Jetson boards, on which the policy also chooses configurations.

Every policy runs in two settings. In ``chosen`` all configurations are planned, and the policy takes one for each
job; in ``static`` each engine has one configuration on each worker, the best for this policy and load that was found on
other seeds. Both with the VM whole and shared (see `setting`), under four loads each. `gains` shows apart what
choosing, what ordering and what both are worth.
"""

from collections.abc import Sequence
from pathlib import Path

from heterosis.scheduling.policies import make_policy
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, Step
from heterosis.studies.synergai.cell import Row, best_static, cell, one_run, summary, tuning_seeds
from heterosis.studies.synergai.gains import Gain, beside_the_claims, gains
from heterosis.studies.synergai.plans import CHOSEN, STATIC
from heterosis.studies.synergai.setting import LOADS, VMS

__all__ = ["POLICIES", "Gain", "Row", "beside_the_claims", "cell", "draw", "gains", "run"]

POLICIES = (
    "heterosis",
    "synergai",
    "synergai:least-energy",
    "slack",
    "slo_mael:as-published",
    "slo_mael:summed",
    "mael",
    "earliest_completion",
    "least_laxity",
    "fcfs",
    "round_robin",
)
"""The policies that are compared unless others are asked for."""


def run(options: Options, step: Step) -> list[Row]:
    """Run every policy under every load, with static and with chosen configurations."""
    policies = options.policies or POLICIES
    for policy in policies:
        make_policy(policy)  # an unknown name is said before anything runs
    cells = [(vm, load, policy) for vm in VMS for load in LOADS[vm] for policy in policies]
    tuning = [(*each, name, seed) for each in cells for name in STATIC for seed in tuning_seeds(options.seeds)]
    step("static configurations")
    tuned = dict(zip(tuning, starmap(one_run, tuning, options, step), strict=True))
    best = {
        each: best_static({name: [tuned[*each, name, seed] for seed in tuning_seeds(options.seeds)] for name in STATIC})
        for each in cells
    }
    judged = [
        (*each, setting, seed) for each in cells for setting in (best[each], CHOSEN) for seed in range(options.seeds)
    ]
    step("all policies")
    runs = dict(zip(judged, starmap(one_run, judged, options, step), strict=True))
    return [
        summary(*each, static, [runs[*each, static or CHOSEN, seed] for seed in range(options.seeds)])
        for each in cells
        for static in (best[each], "")
    ]


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw violations and joules of every policy under every load, and what choosing and ordering are worth."""
    from heterosis.studies.synergai.drawing import draw_gains, draw_rows

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for vm in dict.fromkeys(row.vm for row in rows):
        of = [row for row in rows if row.vm == vm]
        drawn.append(draw_rows(of, folder / f"synergai-{vm}.png"))
        if found := gains(of):
            drawn.append(draw_gains(found, folder / f"synergai-{vm}-gains.png"))
    return drawn

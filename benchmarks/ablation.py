"""What each part of our policy is worth: the studies' settings with all of it, and with one part left out at a time."""

from statistics import fmean

from heterosis.scheduling.policies.heterosis import PARTS
from heterosis.studies import slo_mael, synergai
from heterosis.studies.kairos import at_load
from heterosis.studies.kairos.comparison import bounds_of
from heterosis.studies.kairos.setting import MODELS
from heterosis.studies.parallel import starmap
from heterosis.studies.study import Options, silent

SEEDS = 4
LP_SHARE = 0.87
"""Load of the pools of KAIROS' study, as a share of the linear program's bound: about what ours is allowed."""
SYNERGAI = ((0.8, "whole"), (2.0, "shared"))
POLICIES = ("heterosis", *(f"heterosis:without_{part}" for part in PARTS))


def run() -> dict[str, float]:
    """Simulate every variant; violations in per cent, joules for each request."""
    figures: dict[str, float] = {}
    found = iter(starmap(_one, [(study, policy) for study in _STUDIES for policy in POLICIES], Options(), silent))
    for study in _STUDIES:
        for policy in POLICIES:
            figures |= {f"{study}, {policy}: {name}": value for name, value in next(found).items()}
    return figures


def _one(study: str, policy: str) -> dict[str, float]:
    return _STUDIES[study](policy)


def _kairos(policy: str) -> dict[str, float]:
    runs = [
        at_load(model, policy, LP_SHARE * bounds_of(model, None).lp, seed=seed)
        for model in MODELS
        for seed in range(SEEDS)
    ]
    return {
        "violations": 100 * fmean(run.violations for run in runs),
        "of the largest decile": 100 * fmean(run.largest_decile_violations for run in runs),
    }


def _slo_mael(policy: str) -> dict[str, float]:
    rows = [
        slo_mael.cell(n=n, intensity=intensity, bias=bias, policy=policy, seeds=SEEDS)
        for n, intensity, bias in slo_mael.GRID
    ]
    return {
        "violations": fmean(row.violations for row in rows),
        "of the worst class": fmean(row.worst_class_violations for row in rows),
    }


def _synergai(policy: str) -> dict[str, float]:
    rows = [
        synergai.cell(load=load, vm=vm, policy=policy, configuration="chosen", seeds=SEEDS) for load, vm in SYNERGAI
    ]
    return {
        "violations": fmean(row.violations for row in rows),
        "joules": fmean(row.joules_per_request for row in rows),
    }


_STUDIES = {"kairos": _kairos, "slo-mael": _slo_mael, "synergai": _synergai}

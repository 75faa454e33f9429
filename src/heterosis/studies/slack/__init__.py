"""Staged slack's setting (after Ωkypous, arXiv 2407.18386): chains of functions on servers that share clocks.

What is found: whether power modes chosen call by call, from the slack of each, save energy against full speed and sleep
(`governor:race`), against governors that know no deadlines, and against the one best mode for all; at which
violations; and how far that is from what one could do who knows the future. Every policy meets the same requests.

The fleets differ in the share of power that no mode saves (servers of 2004-2009 draw 56 % idle), and in whether cores
share their clocks (``32x1``: none does).
"""

from collections.abc import Sequence
from pathlib import Path

from heterosis.scheduling.policies import make_policy
from heterosis.studies.parallel import starmap
from heterosis.studies.slack.cell import STATIC, Row, Run, best_mode, one_run, summary, tuning_seeds
from heterosis.studies.slack.servers import MODES, Mode, Servers
from heterosis.studies.slack.setting import LOADS, Load
from heterosis.studies.study import Options, Step

__all__ = ["OTHERS", "POLICIES", "Row", "draw", "run"]

Setting = tuple[Load, Servers]
RACE = "governor:race"
POLICIES = (RACE, "governor:performance", "governor:ondemand", "slack", "slack:joules")
"""The policies that are compared unless others are asked for."""
OTHERS = (Servers(years="2004-2009"), Servers(years="2016-2018"), Servers(domains=32, width=1))
"""Fleets of other servers, on which one load is run."""
MIDDLE = Load(share=0.5)


def run(options: Options, step: Step) -> list[Row]:
    """Run every policy, and the best single mode, on every fleet and under every load."""
    policies = options.policies or POLICIES
    for policy in policies:
        make_policy(policy)  # an unknown name is said before anything runs
    settings = [(load, Servers()) for load in LOADS] + [(MIDDLE, servers) for servers in OTHERS]
    tuning = [
        (RACE, *setting, seed, mode) for setting in settings for mode in MODES for seed in tuning_seeds(options.seeds)
    ]
    step("single modes")
    tuned = dict(zip(tuning, starmap(one_run, tuning, options, step), strict=True))
    best = {
        setting: best_mode(
            {mode: [tuned[RACE, *setting, seed, mode] for seed in tuning_seeds(options.seeds)] for mode in MODES}
        )
        for setting in settings
    }
    ways: list[tuple[Setting, str, str, Mode | None]] = [
        (setting, policy, policy, None) for setting in settings for policy in policies
    ]
    ways += [(setting, STATIC, RACE, best[setting]) for setting in settings]
    judged = [(policy, *setting, seed, mode) for setting, _, policy, mode in ways for seed in range(options.seeds)]
    step("all policies")
    runs = dict(zip(judged, starmap(one_run, judged, options, step), strict=True))

    def of(setting: Setting, policy: str, mode: Mode | None = None) -> list[Run]:
        return [runs[policy, *setting, seed, mode] for seed in range(options.seeds)]

    return [
        summary(name, *setting, mode, of(setting, policy, mode), of(setting, RACE) if RACE in policies else None)
        for setting, name, policy, mode in ways
    ]


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw joules against violations under every load, and where the joules go."""
    from heterosis.studies.slack.drawing import draw_parts, draw_rows

    folder.mkdir(parents=True, exist_ok=True)
    return [draw_rows(rows, folder / "slack.png"), draw_parts(rows, folder / "slack-parts.png")]

"""Staged slack's setting: the figures come back as published, the bound holds, and slack in joules saves a sixth."""

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.scheduling.policies.slack_joules import AWAKE
from heterosis.studies.slack import draw, run
from heterosis.studies.slack.bound import lower_bound_j
from heterosis.studies.slack.cell import STATIC, Run, best_mode, one_run, summary, violations_of
from heterosis.studies.slack.plans import make_plan
from heterosis.studies.slack.published import CLAIM, SPECPOWER
from heterosis.studies.slack.servers import MODES, Mode, Servers, fleet, power_share
from heterosis.studies.slack.setting import CHAINS, LOADS, MEMORY, Load, arrivals
from heterosis.studies.study import Options, silent
from heterosis.studies.synergai.published import TX2_POWER, VCPU_FULL_W
from heterosis.terms import DEFAULT_MODE
from heterosis.terms.errors import UsageError

SMALL = Servers(domains=4, width=2)
HALF = Load(share=0.5)
FULL = MODES[0]


# --- the servers


@given(st.sampled_from(sorted(SPECPOWER)), st.integers(1, 8))
def test_a_server_at_full_load_draws_what_is_published(years: str, width: int) -> None:
    """Idle, and with every slot busy at full speed, whatever the split between the parts."""
    servers = Servers(years=years, width=width)
    full_w = servers.awake_w + width * servers.busy_w(FULL)
    assert full_w == pytest.approx(width * VCPU_FULL_W)
    assert servers.asleep_w == pytest.approx(SPECPOWER[years][0] * full_w)


def test_clocks_draw_what_was_measured() -> None:
    """The power of each clock, as a share, is the TX2's under load less idle."""
    assert [round(power_share(mhz / TX2_POWER[0][0]), 2) for mhz, _, _ in TX2_POWER] == [1.0, 0.65, 0.4]


def test_slower_modes_take_longer_and_save_energy() -> None:
    """Full speed is the mode that devices start in; no mode is slower and dearer than another one for all functions."""
    assert FULL.name == DEFAULT_MODE
    assert len(MODES) == 5
    for memory in MEMORY.values():
        joules = [mode.stretch(memory) * Servers().busy_w(mode) for mode in MODES]
        assert FULL.stretch(memory) == pytest.approx(1.0)
        assert all(mode.stretch(memory) > 1 for mode in MODES[1:])
        assert all(each < joules[0] for each in joules[1:])


@given(st.sampled_from(MODES), st.floats(0, 1))
def test_what_waits_for_memory_follows_the_uncore(mode: Mode, memory: float) -> None:
    """The stretch lies between those of the two clocks."""
    low, high = sorted((1 / mode.core, 1 / mode.uncore))
    assert low - 1e-9 <= mode.stretch(memory) <= high + 1e-9


def test_resnet_slows_down_as_measured() -> None:
    """QuTiBench's TX2: throughput grows with the 0.93th power of the clock."""
    slowest = MODES[-1].core
    measured = slowest**-0.93
    assert Mode(core=slowest, uncore=1).stretch(MEMORY["resnet50"]) == pytest.approx(measured, rel=0.005)


def test_what_the_policy_takes_for_granted_is_the_servers() -> None:
    """The power of being awake, which a plan does not tell."""
    servers = Servers()
    awake = (servers.awake_w - servers.asleep_w) / (servers.width * servers.busy_w(FULL))
    assert awake == pytest.approx(AWAKE, rel=0.1)


# --- the load


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_requests_come_at_the_share_of_what_the_servers_can_do(load: Load) -> None:
    """Full-speed work, over the time in which it came, by the slots; each chain has its own objective."""
    found = arrivals(load, Servers(), seed=1, requests=8000)
    work = {chain.name: chain.full_s for chain in CHAINS}
    share = sum(work[each.request_class] for each in found) / found[-1].at / Servers().slots
    assert share == pytest.approx(load.share, rel=0.1)
    assert {(each.request_class, each.latency_ms) for each in found} == {
        (chain.name, chain.limit_s * 1e3) for chain in CHAINS
    }
    assert found == arrivals(load, Servers(), seed=1, requests=8000)


def test_every_function_is_planned_on_every_slot_in_every_mode() -> None:
    """And time is left for what follows it in its chain."""
    plan = make_plan("fcfs", HALF, SMALL)
    functions = sum(len(chain.models) for chain in CHAINS)
    assert len(plan.placements) == functions * len(MODES) * SMALL.slots
    for chain in CHAINS:
        first, last = chain.stages[0], chain.stages[-1]
        assert plan.stage(first.name).tail_ms == pytest.approx((chain.full_s - first.run_s(FULL)) * 1e3)
        assert plan.stage(last.name).tail_ms == 0
    assert {device.slots for device in fleet(SMALL).devices} == {SMALL.width}


# --- the bound


def test_the_bound_lies_below_every_single_mode() -> None:
    """Of those that keep their deadlines; and above the idle power, which nobody saves."""
    bound = lower_bound_j(HALF, SMALL)
    assert SMALL.domains * SMALL.asleep_w / HALF.rate_rps(SMALL) < bound
    for mode in MODES:
        found = one_run("governor:race", HALF, SMALL, 0, mode, 200)
        assert violations_of([found]) > 1 or found.joules > bound


def test_the_bound_rises_where_slots_are_scarce() -> None:
    """Dynamic energy: with little to do all may be slow, near capacity they may not."""

    def dynamic(share: float) -> float:
        load = Load(share=share)
        return lower_bound_j(load, SMALL) - SMALL.domains * SMALL.asleep_w / load.rate_rps(SMALL)

    assert dynamic(0.3) == pytest.approx(dynamic(0.5), rel=1e-3)
    assert dynamic(0.5) < dynamic(0.8) < dynamic(0.95)


# --- the runs


def test_slack_in_joules_saves_a_sixth_and_keeps_the_deadlines() -> None:
    """The figure that is aimed at, in a small setting: against full speed and sleep, and against on-demand."""
    runs = {
        policy: [one_run(policy, HALF, Servers(domains=6), seed, None, 200) for seed in range(2)]
        for policy in ("governor:race", "governor:ondemand", "slack:joules")
    }
    ours = runs["slack:joules"]
    assert violations_of(ours) <= CLAIM["violations"]
    for other in ("governor:race", "governor:ondemand"):
        for mine, theirs in zip(ours, runs[other], strict=True):
            assert mine.joules < (1 - CLAIM["energy"] / 100) * theirs.joules


def test_a_run_counts_every_joule() -> None:
    """Idle energy is at least that of sleep; who runs at full speed spends what the functions take there."""
    found = one_run("governor:race", HALF, SMALL, 3, None, 300)
    asleep_j = SMALL.domains * SMALL.asleep_w * arrivals(HALF, SMALL, 3, 300)[-1].at
    assert found.idle_j > asleep_j
    work_s = sum(
        sum(stage.run_s(FULL) for stage in chain.stages)
        for each in arrivals(HALF, SMALL, 3, 300)
        for chain in CHAINS
        if chain.name == each.request_class
    )
    assert found.dynamic_j == pytest.approx(work_s * SMALL.busy_w(FULL), rel=0.03)
    assert found.switching_j == 0


def _made(violations: int, joules: float) -> list[Run]:
    return [Run(requests=1000, violations=violations, idle_j=0.0, dynamic_j=joules, switching_j=0.0)]


def test_the_best_single_mode_keeps_the_deadlines_then_saves_energy() -> None:
    """Where none keeps them, the one of fewest violations."""
    fast, middle, slow = MODES[:3]
    assert best_mode({fast: _made(0, 9.0), middle: _made(18, 8.0), slow: _made(19, 1.0)}) == middle
    assert best_mode({fast: _made(30, 9.0), middle: _made(31, 1.0)}) == fast


def test_a_row_says_what_is_in_it() -> None:
    """The parts add up, and savings are those of the same seeds."""
    ours, race = _made(10, 80.0) + _made(20, 60.0), _made(0, 100.0) + _made(0, 80.0)
    row = summary("slack", HALF, SMALL, None, ours, race)
    assert row.violations == pytest.approx(1.5)
    assert row.attainment == pytest.approx(0.985)
    assert row.saving == pytest.approx(22.5)
    assert row.joules_per_request == pytest.approx(row.dynamic_joules + row.idle_joules + row.switching_joules)
    assert (row.planner, row.fleet, row.load, row.devices) == ("slack", "4x2 2019-2024", "50% Poisson", 4)
    assert summary("slack", HALF, SMALL, None, ours, None).saving is None


def test_the_study_runs_every_cell_and_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fleet and load has the policies that were asked for and the best single mode."""
    monkeypatch.setattr("heterosis.studies.slack.LOADS", ())
    monkeypatch.setattr("heterosis.studies.slack.OTHERS", (SMALL,))
    monkeypatch.setattr("heterosis.studies.slack.one_run", _short_run)
    rows = run(Options(policies=("governor:race", "fcfs"), seeds=1, jobs=1), silent)
    assert [row.planner for row in rows] == ["governor:race", "fcfs", STATIC]
    assert all(row.saving == 0 for row in rows if row.planner == "governor:race")
    assert all(row.mode for row in rows if row.planner == STATIC)
    assert not any(math.isnan(row.joules_per_request) for row in rows)
    for path in draw(rows, tmp_path):
        assert path.stat().st_size > 1000


def test_an_unknown_policy_is_named_before_anything_runs() -> None:
    """No minute is lost on the others."""
    with pytest.raises(UsageError, match="best_ever"):
        run(Options(policies=("fcfs", "best_ever"), seeds=1, jobs=1), silent)


def _short_run(policy: str, load: Load, servers: Servers, seed: int, mode: Mode | None = None) -> Run:
    return one_run(policy, load, servers, seed, mode, 30)


# --- the published data, where it is at hand


def test_the_typed_figures_are_the_published_ones(published_data: Path) -> None:
    """SPECpower's medians by the year of the hardware."""
    with (published_data / "hardware" / "specpower_normalised_power_curve.csv").open() as file:
        curves = {
            row["hw_year_range"]: tuple(float(row[part]) for part in ("idle", "u10", "u20"))
            for row in csv.DictReader(file)
        }
    assert {years: curves[years] for years in SPECPOWER} == SPECPOWER

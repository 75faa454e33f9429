"""SynergAI's setting: the published ratios hold in it, and choosing configurations is worth something to ours."""

import csv
from pathlib import Path

import msgspec
import pytest

from heterosis.studies.study import Options, silent
from heterosis.studies.synergai import Row, beside_the_claims, cell, draw, gains, run
from heterosis.studies.synergai.cell import Run, best_static, one_run
from heterosis.studies.synergai.plans import CHOSEN, STATIC, make_plan
from heterosis.studies.synergai.published import AGX_IDLE_W, ENGINES, NX_IDLE_W
from heterosis.studies.synergai.setting import (
    QUERIES,
    SHARED,
    TARGETS,
    WHOLE,
    arrivals,
    capacity_per_s,
    least_s,
)
from heterosis.studies.synergai.workers import IDLE_W, Choice, choices, power_exponent, speed_up
from heterosis.terms.errors import UsageError


def fastest(engine: str, worker: str) -> Choice:
    """The configuration of most queries per second."""
    return max((each for each in choices(engine) if each.worker == worker), key=lambda each: each.qps)


def small_row(policy: str, configuration: str, vm: str = WHOLE) -> Row:
    """A cell of few jobs."""
    return cell(load=0.5, policy=policy, configuration=configuration, vm=vm, seeds=2, jobs=120)


# --- the setting


def test_the_vm_is_as_much_faster_than_the_boards_as_published() -> None:
    """2.8 to 4.2 times the queries per second, both ends reached, the AGX never behind the NX."""
    ratios = {
        (engine, board): fastest(engine, "x86").qps / fastest(engine, board).qps
        for engine in ENGINES
        for board in ("agx", "nx")
    }
    assert min(ratios.values()) == pytest.approx(2.8)
    assert max(ratios.values()) == pytest.approx(4.2)
    assert all(ratios[engine, "agx"] < ratios[engine, "nx"] for engine in ENGINES)


def test_threads_speed_the_vm_up_as_published() -> None:
    """2.9 times from 1 to 8 threads; the second 8 add little."""
    by_threads = {each.configuration.threads: each.qps for each in choices("resnet50") if each.worker == "x86"}
    assert by_threads[8] / by_threads[1] == pytest.approx(2.9)
    assert 1 < by_threads[16] / by_threads[8] < 1.2
    assert speed_up(1) == 1


def test_the_agx_without_power_cap_is_what_mlperf_says() -> None:
    """Latency and energy of each engine come back from the modelled configuration."""
    for engine, figures in ENGINES.items():
        found = fastest(engine, "agx")
        assert found.configuration.power_mode == "MAXN"
        assert 1e3 / found.qps == pytest.approx(figures.latency_ms)
        assert (found.dynamic_w + AGX_IDLE_W) / found.qps == pytest.approx(figures.energy_j)


def test_slower_modes_save_energy() -> None:
    """On every worker the slowest way to run a job costs fewer joules than the fastest; the clock's power is fitted."""
    for engine in ENGINES:
        for worker in IDLE_W:
            of = sorted((each for each in choices(engine) if each.worker == worker), key=lambda each: each.qps)
            assert of[0].dynamic_j(1024) < 0.6 * of[-1].dynamic_j(1024)
    assert 2 < power_exponent() < 3


def test_a_job_takes_its_start_up_and_its_queries() -> None:
    """The plan's operating points say what the modelled configuration says, in time and in joules."""
    plan = make_plan(WHOLE, "fcfs", 0.5, CHOSEN)
    known = {each.configuration: each for engine in ENGINES for each in choices(engine)}
    assert {point.configuration for point in plan.points} == set(known)
    for point in plan.points:
        choice = known[point.configuration]
        assert point.latency.mean_ms == pytest.approx(1e3 * (choice.start_s + point.batch / choice.qps))
        assert point.dynamic_energy.joules == pytest.approx(choice.dynamic_w * point.latency.mean_ms / 1e3)


def test_a_static_setting_has_one_configuration_for_each_engine_and_worker() -> None:
    """Seventeen to choose from, or three; the fastest setting has the fastest of each."""
    assert len(make_plan(WHOLE, "fcfs", 0.5, CHOSEN).placements) == 17 * len(ENGINES)
    for name in STATIC:
        placed = make_plan(WHOLE, "fcfs", 0.5, name).placements
        assert len({(each.configuration.stage, each.device) for each in placed}) == len(placed) == 3 * len(ENGINES)
    placed = make_plan(WHOLE, "fcfs", 0.5, "fastest").placements
    assert {each.configuration for each in placed} == {
        fastest(engine, worker).configuration for engine in ENGINES for worker in IDLE_W
    }


def test_a_shared_vm_runs_as_many_jobs_as_its_threads_allow() -> None:
    """Two jobs of eight threads take all sixteen vCPUs; the boards and a whole VM have one slot each."""
    slots = {
        each.instance: each.slots
        for each in make_plan(SHARED, "fcfs", 0.5, CHOSEN).placements
        if each.configuration.stage == "resnet50"
    }
    vm = {name: places for name, places in slots.items() if "x86" in name}
    assert len(vm) == 1 + 2 + 4 + 8 + 16
    halves = [places for name, places in vm.items() if "/8#" in name]
    assert sorted(place for places in halves for place in places) == list(range(16))
    assert {places for name, places in slots.items() if name not in vm} == {(0,)}
    assert {each.slots for each in make_plan(WHOLE, "fcfs", 0.5, CHOSEN).placements} == {(0,)}


def test_jobs_come_at_a_share_of_the_capacity_and_have_targets_of_their_own() -> None:
    """Same jobs for the same seed; queries and targets from the stated lists."""
    jobs = arrivals(0.8, seed=1, jobs=3000)
    assert jobs == arrivals(0.8, seed=1, jobs=3000)
    assert jobs[-1].at == pytest.approx(3000 / (0.8 * capacity_per_s()), rel=0.05)
    assert {job.size for job in jobs} == set(QUERIES)
    factors = {round((job.latency_ms or 0) / 1e3 / least_s(job.request_class, job.size), 6) for job in jobs}
    assert factors == set(TARGETS)


# --- the runs


def test_ordering_by_urgency_is_worth_something() -> None:
    """SynergAI's rule has fewer violations than first come, first served, both with static configurations."""
    assert small_row("synergai", "static").violations < small_row("fcfs", "static").violations


def test_slack_saves_energy_where_it_may_choose() -> None:
    """With all configurations it spends fewer dynamic joules on a job than with static ones, and is later."""
    static, chosen = small_row("slack", "static"), small_row("slack", CHOSEN)
    assert chosen.dynamic_joules_per_request < 0.9 * static.dynamic_joules_per_request
    assert chosen.violations > static.violations


def test_choosing_pays_where_what_is_left_of_the_vm_can_be_used() -> None:
    """On a shared VM, SynergAI's rule with the energy in mind is late less often than with least execution time."""
    least_time, least_energy = (
        small_row(policy, CHOSEN, vm=SHARED) for policy in ("synergai", "synergai:least-energy")
    )
    assert least_energy.violations < 0.5 * least_time.violations
    assert least_energy.joules_per_request < 0.7 * least_time.joules_per_request


def test_in_overload_ours_is_late_less_often_than_the_rule() -> None:
    """At 1.3 times the capacity the rule serves the hopeless first; ours, on the same configurations, does not."""
    late = {
        policy: sum(sum(one_run(WHOLE, 1.3, policy, "fastest", seed, 200).violations.values()) for seed in range(2))
        for policy in ("heterosis", "synergai")
    }
    assert late["heterosis"] < 0.75 * late["synergai"]


def test_a_row_says_what_is_in_it() -> None:
    """All jobs are answered by a rule that drops none; idle energy is part of the joules; the time is the core's."""
    row = small_row("synergai", CHOSEN)
    assert (row.lost, row.static, row.runs) == (0.0, "", 2)
    assert row.violations_low is not None
    assert row.violations_high is not None
    assert row.violations_low <= row.violations <= row.violations_high
    assert row.worst_class_violations >= row.violations
    assert row.joules_per_request > row.dynamic_joules_per_request > 0
    assert 1 < row.decision_us < 1e5


def test_the_best_static_setting_has_fewest_violations_then_least_energy() -> None:
    """Energy decides only between equals."""

    def runs(violations: int, dynamic_j: float) -> list[Run]:
        return [
            Run(
                jobs={"a": 100},
                violations={"a": violations},
                excess_s=0.0,
                answered=100,
                dynamic_j=dynamic_j,
                total_j=dynamic_j,
                decision_s=1.0,
            )
        ]

    assert best_static({"x": runs(9, 5.0), "y": runs(10, 1.0)}) == "x"
    assert best_static({"x": runs(9, 5.0), "y": runs(9, 1.0)}) == "y"


def test_the_study_runs_every_cell_and_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two policies, two ways to use the VM, static and chosen; what choosing and ordering are worth adds up."""
    monkeypatch.setattr("heterosis.studies.synergai.LOADS", {WHOLE: (0.5, 1.0), SHARED: (1.0, 2.0)})
    monkeypatch.setattr("heterosis.studies.synergai.one_run", _short_run)
    rows = run(Options(policies=("fcfs", "synergai"), seeds=1, jobs=1), silent)
    assert len({(row.vm, row.load, row.policy, row.configuration) for row in rows}) == len(rows) == 16
    found = gains(rows)
    assert len(found) == 8
    for gain in found:
        assert gain.both_violations == pytest.approx(gain.ordering_violations + gain.choosing_violations)
        assert gain.both_j == pytest.approx(gain.ordering_j + gain.choosing_j)
    for path in draw(rows, tmp_path):
        assert path.stat().st_size > 1000


def test_an_unknown_policy_is_named_before_anything_runs() -> None:
    """No minute is lost on the others."""
    with pytest.raises(UsageError, match="best_ever"):
        run(Options(policies=("fcfs", "best_ever"), seeds=1, jobs=1), silent)


def _short_run(vm: str, load: float, policy: str, configuration: str, seed: int) -> Run:
    return one_run(vm, load, policy, configuration, seed, 30)


def test_claims_of_the_paper_stand_beside_our_figures() -> None:
    """Theirs as cited, ours the ratio of the means; nothing where one of the two policies is missing."""
    claimant = small_row("synergai", CHOSEN)
    rival = msgspec.structs.replace(
        claimant, policy="slo_mael:as-published", configuration="static", violations=3 * claimant.violations
    )
    assert beside_the_claims([claimant, rival]) == {
        "violations": (2.4, pytest.approx(3.0)),
        "excess": (5.3, 1.0),
        "overhead": (4.4, 1.0),
    }
    assert beside_the_claims([claimant]) == {}


# --- the published data, where it is at hand


def test_the_typed_figures_are_the_published_ones(published_data: Path) -> None:
    """Each engine's latency and energy, and the boards' idle power."""
    hardware = published_data / "hardware"
    with (hardware / "hardware_catalogue_seed.csv").open() as file:
        of = [row for row in csv.DictReader(file) if "AGX Xavier" in row["device"] and "TFLite" in row["framework"]]
    published = {(row["latency_ms"], row["energy_per_inference_j"]) for row in of}
    for engine in ENGINES.values():
        assert (str(engine.latency_ms), str(engine.energy_j)) in published
    with (hardware / "mlperf_idle_power_estimates.csv").open() as file:
        idle = {
            row["platform"]: float(row["median_edge_power_w"])
            for row in csv.DictReader(file)
            if row["version"] == "v1.1"
        }
    assert (idle["AGX_Xavier_TRT_MaxQ"], idle["Xavier_NX_TRT_MaxQ"]) == (AGX_IDLE_W, NX_IDLE_W)

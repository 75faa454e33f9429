"""`heterosis simulate`: a plan in the simulator, from files alone or from a pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heterosis.simulation import Interval
from heterosis.terms import DeviceType, Fleet, Node, PowerMode, Quality
from heterosis.terms.device import Device
from heterosis.testing import graph_of, make_plan

Command = Callable[..., Any]


class Found(msgspec.Struct):
    """What ``--json`` writes."""

    pipeline: str
    rate_rps: float | None
    arrivals: str
    bias: float
    seeds: int
    policies: dict[str, dict[str, Interval]]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A graph and its plan: two stages, 10 and 20 ms, two slots, 40 requests per second."""
    plan = make_plan({"a": 10.0, "b": 20.0}, slo_ms=100.0, rate_rps=40.0)
    graph = graph_of([("a", ()), ("b", (0,))])
    for name, value in (("plan.json", plan), ("graph.json", graph)):
        (tmp_path / name).write_bytes(msgspec.json.encode(value))
    return [str(tmp_path / "graph.json"), "--plan", str(tmp_path / "plan.json")]


def simulated(heterosis: Command, *arguments: object) -> Found:
    """Run the verb, and read what it says."""
    done = heterosis("simulate", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Found)


def test_policies_are_compared_on_the_same_requests(files: list[str], heterosis: Command) -> None:
    """Beyond capacity, ours keeps more than first come first served; all figures have their intervals."""
    options = ["--rate", 110, "--requests", 1000, "--seeds", 3, "--policy", "heterosis", "--policy", "fcfs"]
    found = simulated(heterosis, *files, *options)
    assert found.rate_rps == 110
    ours, fcfs = found.policies["heterosis"], found.policies["fcfs"]
    assert ours["attainment"].mean > fcfs["attainment"].mean + 0.2
    assert ours["duration_s"].runs == 3
    assert ours["requests"].mean == fcfs["requests"].mean == 1000
    low, high = ours["attainment"].low, ours["attainment"].high
    assert low is not None
    assert high is not None
    assert low < ours["attainment"].mean < high
    assert simulated(heterosis, *files, *options).policies["fcfs"]["attainment"] == fcfs["attainment"]


def test_the_plan_says_rate_and_policy(files: list[str], heterosis: Command) -> None:
    """Without options the plan's own hold; a bias shows in the latency."""
    plain, slow = (simulated(heterosis, *files, "--requests", 300, "--seeds", 1, "--bias", bias) for bias in (1.0, 1.5))
    assert plain.rate_rps == 40.0
    assert list(plain.policies) == ["heterosis"]
    latencies = [run.policies["heterosis"]["latency_ms.p50"] for run in (plain, slow)]
    assert latencies[1].mean > 1.3 * latencies[0].mean
    assert latencies[0].high is None


@pytest.mark.parametrize("arrivals", ["bursts", "diurnal", "integer"])
def test_other_arrivals(arrivals: str, files: list[str], heterosis: Command) -> None:
    """Each has the rate that was asked for, roughly: bursts are few."""
    found = simulated(heterosis, *files, "--arrivals", arrivals, "--duration", 25, "--seeds", 4)
    assert found.policies["heterosis"]["requests"].mean == pytest.approx(1000, rel=0.35)


def test_traces(files: list[str], tmp_path: Path, heterosis: Command) -> None:
    """A trace is taken as it is, cut, or stretched to a rate."""
    trace = tmp_path / "trace.csv"
    trace.write_text("gap_s\n" + "0.1\n" * 100)
    options = [*files, "--arrivals", trace, "--seeds", 1]
    whole, part = simulated(heterosis, *options), simulated(heterosis, *options, "--duration", 1.05)
    assert (whole.rate_rps, whole.policies["heterosis"]["requests"].mean) == (None, 100)
    assert part.policies["heterosis"]["requests"].mean == 11
    fast = simulated(heterosis, *options, "--rate", 100)
    assert fast.policies["heterosis"]["duration_s"].mean < 2


def test_a_fleet_gives_all_joules(files: list[str], tmp_path: Path, heterosis: Command) -> None:
    """Without a fleet the total is unknown, and said to be; with one, its parts add up."""
    kind = DeviceType(
        name="toy",
        kind="cpu",
        power_modes=(PowerMode(name="default", idle_power_w=3.0, active_power_w=9.0),),
        quality=Quality.MODELLED,
    )
    fleet = tmp_path / "fleet.json"
    node = Node(name="here", devices=(Device(name="toy", type=kind, slots=2),))
    fleet.write_bytes(msgspec.json.encode(Fleet(nodes=(node,))))
    short = ["--requests", 200, "--seeds", 2]
    done = heterosis("simulate", *files, *short)
    assert "energy, J                     unknown" in " ".join(done.stdout.split("\n"))
    energy = simulated(heterosis, *files, *short, "--fleet", fleet).policies["heterosis"]
    parts = [energy[f"energy.{part}.joules"].mean for part in ("idle", "dynamic", "switching", "starting")]
    assert energy["energy.total.joules"].mean == pytest.approx(sum(parts))
    assert parts[0] == pytest.approx(3.0 * energy["duration_s"].mean)


def test_a_table_for_people(files: list[str], heterosis: Command) -> None:
    """A column each policy; kinds of drops that did not occur are not mentioned."""
    done = heterosis("simulate", *files, "--requests", 100, "--policy", "fcfs", "--policy", "least_laxity")
    assert done.returncode == 0
    assert "fcfs" in done.stdout
    assert "least_laxity" in done.stdout
    assert "attainment, %" in done.stdout
    assert " ± " in done.stdout
    assert "poison" not in done.stdout


def test_what_ran_where(files: list[str], tmp_path: Path, heterosis: Command) -> None:
    """One trace a policy, with a slice for each batch."""
    path = tmp_path / "occupancy.json"
    options = ["--requests", 50, "--seeds", 2, "--trace-out", path]
    simulated(heterosis, *files, *options, "--policy", "fcfs", "--policy", "heterosis")
    events = msgspec.json.decode((tmp_path / "occupancy-fcfs.json").read_bytes())["traceEvents"]
    assert sum(len(event["args"]["calls"]) for event in events if event["ph"] == "X") == 100
    assert (tmp_path / "occupancy-heterosis.json").exists()
    simulated(heterosis, *files, *options)
    assert path.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "best"], "no policy 'best'; there are: "),
        (["--arrivals", "sometimes"], "no arrivals 'sometimes'; there are poisson, bursts"),
        (["--arrivals", "none.csv"], "cannot read the trace none.csv"),
        (["--requests", 5, "--duration", 5], "not by both"),
        (["--rate", 0], "--rate must be above zero"),
        (["--seeds", 0], "--seeds must be above zero"),
        (["--bias", -1], "--bias must be above zero"),
        (["--duration", 1e-6], "nothing arrives in so short a time"),
        (["--fleet", "none.json"], "cannot read the fleet none.json"),
        (["--requests", 5, "--trace-out", "/none/at/all.json"], "cannot write /none/at/all.json"),
    ],
)
def test_mistakes_are_named(options: list[object], said: str, files: list[str], heterosis: Command) -> None:
    """Each ends with a word on what is wrong."""
    done = heterosis("simulate", *files, *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_graph_alone_is_not_enough(files: list[str], tmp_path: Path, heterosis: Command) -> None:
    """A graph needs a plan, and one of its own pipeline."""
    assert "say --plan" in heterosis("simulate", files[0]).stderr
    other = tmp_path / "other.json"
    other.write_bytes(msgspec.json.encode(graph_of([("c", ())])))
    assert (
        "the plan is for pipeline 'toy' with the stages ['a', 'b']" in heterosis("simulate", other, *files[1:]).stderr
    )
    assert "is no plan" in heterosis("simulate", files[0], "--plan", files[0]).stderr


def test_a_pipeline_file_is_planned_first(pipeline_file: Path, store: Path, heterosis: Command) -> None:
    """From the file alone: traced, profiled, planned and simulated on this machine's devices."""
    options = ["--rate", 2, "--budget", 5, "--store", store, "--requests", 100, "--seeds", 2]
    found = simulated(heterosis, pipeline_file, *options).policies["heterosis"]
    assert found["attainment"].mean > 0.9
    assert found["requests"].mean == 100

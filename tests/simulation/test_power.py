"""Energy of a run: each joule is counted once, and where it belongs."""

from itertools import pairwise

import msgspec
import pytest

from heterosis.simulation import Arrival, Outcome, Power, Setting, Simulator, single_call
from heterosis.terms import UNKNOWN, Configuration, Energy, Fleet, Node, Plan, Quality
from heterosis.terms.errors import UsageError

from .conftest import World, make_fleet, on_node


class Exactly:
    """Every batch takes as long."""

    def __init__(self, seconds: float) -> None:
        """Take the time."""
        self.seconds = seconds

    def draw(self, configuration: Configuration, size: int, rng: object) -> float:  # noqa: ARG002 - nothing to draw
        """See `Service.draw`."""
        return self.seconds


def run(plan: Plan, power: Power, *times: float, took_s: float = 0.01, load_at_start: bool = False) -> Outcome:
    """Run single calls of stage a that take so long each."""
    setting = Setting(power=power, load_at_start=load_at_start)
    return Simulator(plan, service=Exactly(took_s), setting=setting).run(
        [Arrival(time, single_call("a")) for time in times]
    )


def joules(energy: Energy) -> float:
    """Joules that are known."""
    assert energy.joules is not None
    return energy.joules


def test_idle_power_counts_through_the_whole_run(world: World) -> None:
    """Devices idle at the power of their mode from the start to the end; one without instances is off."""
    outcome = run(on_node(world.plan, "here"), Power(fleet=world.fleet), 0.0, 99.99)
    assert outcome.duration_s == pytest.approx(100.0)
    assert joules(outcome.joules.idle) == pytest.approx(10.0 * 100.0)
    assert set(outcome.joules.idle_by) == {("here", "toy", "default")}


def test_what_is_not_switched_off_idles(world: World) -> None:
    """Devices without instances count where they stay on."""
    outcome = run(on_node(world.plan, "here"), Power(fleet=world.fleet, off_without_instances=False), 0.0, 9.99)
    assert joules(outcome.joules.idle) == pytest.approx(3 * 10.0 * 10.0)


def test_dynamic_energy_follows_the_run_time(world: World) -> None:
    """The toy draws 1 W: a batch that takes thrice as long costs thrice as much; its quality is the profile's."""
    plan = on_node(world.plan, "here")
    usual, slow = (run(plan, Power(fleet=world.fleet), 0.0, took_s=took_s).joules.dynamic for took_s in (0.01, 0.03))
    assert joules(usual) == pytest.approx(0.01)
    assert joules(slow) == pytest.approx(0.03)
    assert usual.quality is Quality.MODELLED


def test_late_answers_waste_what_they_took(world: World) -> None:
    """What is late is wasted; the waste is part of the dynamic energy, and not added to the total."""
    outcome = run(on_node(world.plan, "here"), Power(fleet=world.fleet), 0.0, took_s=0.6)
    assert outcome.attainment == 0.0
    assert outcome.joules.wasted == outcome.joules.dynamic
    found = outcome.joules
    assert joules(found.total) == pytest.approx(joules(found.idle) + joules(found.dynamic) + joules(found.switching))


def test_a_change_of_mode_takes_time_and_energy(world: World) -> None:
    """The first batch in another mode waits for the change; idle power is that of each mode."""
    outcome = run(on_node(world.plan, "there"), Power(fleet=world.fleet), 1.0, 2.0)
    first, second = outcome.latencies_s
    assert first == pytest.approx(0.06)
    assert second == pytest.approx(0.01)
    assert joules(outcome.joules.switching) == pytest.approx(0.5)
    parts = outcome.joules.idle_by
    assert joules(parts["there", "toy", "default"]) == pytest.approx(10.0)
    assert joules(parts["there", "toy", "low"]) == pytest.approx(6.0 * 1.01)


def test_sleep_saves_idle_power_and_delays_what_wakes(world: World) -> None:
    """After its time without work a device sleeps; the next batch waits until it is awake."""
    outcome = run(on_node(world.plan, "here"), Power(fleet=world.fleet, sleep_after_s=0.5), 0.0, 10.0, 10.2)
    assert outcome.latencies_s == [pytest.approx(0.01), pytest.approx(0.05), pytest.approx(0.01)]
    parts = outcome.joules.idle_by
    asleep_s = 10.0 - 0.01 - 0.5
    assert joules(parts["here", "toy", "sleep"]) == pytest.approx(1.0 * asleep_s)
    assert joules(parts["here", "toy", "default"]) == pytest.approx(10.0 * (10.21 - asleep_s))


@pytest.mark.parametrize(("second", "awake_s"), [(10.0, 3.5 + 3.54 + 3.04), (1.5, 5.0 + 3.04), (3.2, 6.7 + 3.04)])
def test_batches_longer_than_a_device_takes_to_sleep_keep_it_awake(second: float, awake_s: float, world: World) -> None:
    """Half a second after it ran dry it sleeps: between batches far apart, not while two overlap or nearly touch."""
    power = Power(fleet=world.fleet, sleep_after_s=0.5)
    outcome = run(on_node(world.plan, "here"), power, 0.0, second, 20.0, took_s=3.0)
    parts = outcome.joules.idle_by
    assert joules(parts["here", "toy", "default"]) == pytest.approx(10.0 * awake_s)
    assert joules(parts["here", "toy", "sleep"]) == pytest.approx(1.0 * (outcome.duration_s - awake_s))


def test_what_cannot_sleep_stays_awake(world: World) -> None:
    """A device type without a sleep power never sleeps."""
    fleet = make_fleet(msgspec.structs.replace(world.type, sleep_power_w=None))
    outcome = run(on_node(world.plan, "here"), Power(fleet=fleet, sleep_after_s=0.5), 0.0, 10.0)
    assert outcome.latencies_s == [pytest.approx(0.01), pytest.approx(0.01)]
    assert joules(outcome.joules.idle) == pytest.approx(10.0 * 10.01)


def test_loading_draws_active_power(world: World) -> None:
    """Four instances of a slot each load for half a second at 10 W a slot; ready at once, they cost nothing."""
    plan = on_node(world.plan, "here")
    loaded = run(plan, Power(fleet=world.fleet), 0.0, load_at_start=True)
    assert joules(loaded.joules.starting) == pytest.approx(4 * 0.5 * 10.0)
    assert loaded.latencies_s == [pytest.approx(0.55)]
    assert joules(run(plan, Power(fleet=world.fleet), 0.0).joules.starting) == 0.0


@pytest.mark.parametrize("missing", ["idle", "dynamic", "switching"])
def test_what_is_unknown_makes_the_total_unknown(missing: str, world: World) -> None:
    """An unknown figure is never counted as nothing; the parts that are known stay."""
    plan, kind = on_node(world.plan, "there"), world.type
    if missing == "idle":
        modes = tuple(msgspec.structs.replace(mode, idle_power_w=None) for mode in kind.power_modes)
        kind = msgspec.structs.replace(kind, power_modes=modes)
    elif missing == "switching":
        kind = msgspec.structs.replace(kind, switch_j=None)
    else:
        points = tuple(msgspec.structs.replace(point, dynamic_energy=UNKNOWN) for point in plan.points)
        plan = msgspec.structs.replace(plan, points=points)
    found = run(plan, Power(fleet=make_fleet(kind)), 0.0).joules
    assert found.total == UNKNOWN
    parts = {"idle": found.idle, "dynamic": found.dynamic, "switching": found.switching}
    assert [name for name, part in parts.items() if part == UNKNOWN] == [missing]


def test_without_a_fleet_only_dynamic_energy_is_known(world: World) -> None:
    """Idle power needs a fleet; without one it is unknown, and so is the total."""
    found = Simulator(world.plan).run([Arrival(0.0, single_call("a"))]).joules
    assert found.dynamic.joules is not None
    assert (found.idle, found.total) == (UNKNOWN, UNKNOWN)


def test_plans_beyond_the_fleet_are_refused(world: World) -> None:
    """A device or a power mode that the fleet lacks is named."""
    here_only = Fleet(nodes=world.fleet.nodes[:1])
    with pytest.raises(UsageError, match="b-0-low on there/toy, and the fleet lacks that"):
        Simulator(world.plan, setting=Setting(power=Power(fleet=here_only)))
    kind = msgspec.structs.replace(world.type, power_modes=world.type.power_modes[:1])
    nodes: tuple[Node, ...] = make_fleet(kind).nodes
    with pytest.raises(UsageError, match=r"in power mode 'low'; device toy has: default"):
        Simulator(world.plan, setting=Setting(power=Power(fleet=Fleet(nodes=nodes))))


def test_a_new_plan_switches_devices_on_and_off(world: World) -> None:
    """Each device counts while it has instances: here for 5 s, then there, once loaded."""
    here, there = on_node(world.plan, "here"), on_node(world.plan, "there")
    setting = Setting(power=Power(fleet=world.fleet), plan_changes=[(5.0, there)])
    times = [0.0, 4.0, 7.0, 9.99]
    outcome = Simulator(here, service=Exactly(0.01), setting=setting).run(
        [Arrival(time, single_call("a")) for time in times]
    )
    assert outcome.attainment == 1.0
    spent = {node: joules(energy) for (node, _, mode), energy in outcome.joules.idle_by.items() if mode == "default"}
    assert spent == {"here": pytest.approx(50.0), "there": pytest.approx(20.0)}
    assert all(earlier < later for earlier, later in pairwise(outcome.records.arrivals))


@pytest.mark.parametrize(("asleep_s", "slept_s", "loads"), [(100.0, 5.0, 0), (3.0, 3.0, 1), (0.0, 0.0, 1)])
def test_a_device_that_a_plan_leaves_sleeps_until_that_no_longer_pays(
    asleep_s: float, slept_s: float, loads: int, world: World
) -> None:
    """Back after 5 s, it wakes with its instances in memory; once it was off, it must load them again."""
    here, there = on_node(world.plan, "here"), on_node(world.plan, "there")
    both = msgspec.structs.replace(
        world.plan, placements=(*here.placements, *there.placements), points=world.plan.points
    )
    changes = [(5.0, there), (10.0, both)]
    setting = Setting(power=Power(fleet=world.fleet, rest_s=lambda *_: asleep_s), plan_changes=changes)
    found = Simulator(both, service=Exactly(0.01), setting=setting).run(
        [Arrival(time, single_call("a")) for time in (0.0, 12.0)]
    )
    asleep = found.joules.idle_by.get(("here", "toy", "sleep"))
    assert (joules(asleep) if asleep is not None else 0.0) == pytest.approx(slept_s)
    one = run(here, Power(fleet=world.fleet), 0.0, load_at_start=True).joules.starting
    assert joules(found.joules.starting) == pytest.approx(loads * joules(one))

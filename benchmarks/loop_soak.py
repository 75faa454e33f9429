"""Does the loop hold out? Half an hour under a random fault schedule, live and in virtual time.

`loop-soak` is the real server with real clients on the emulated devices of `edge-street`: two pipelines, surges,
devices that slow down, nodes that die and come back. It needs little of the machine, and may run beside other work,
which shows in latencies. Its journal is replayed afterwards: the same events must give the same effects, and the
scheduler's books be right after every step. Memory is read meanwhile, of the server's process alone.

`loop-soak-virtual` takes minutes: the loop in the simulator, its books checked after every step.
"""

import tempfile
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.loop import FLEET, SETTINGS, rehearsed
from heterosis.catalogue import open_fleet
from heterosis.control import Steering
from heterosis.planning.fleet import Answer, Limits, Task, allot, to_plan
from heterosis.scheduling import Record, validate
from heterosis.serving.journal import read_journal
from heterosis.simulation import DeviceFailure, Setting, Simulator, Slowdown, replay
from heterosis.terms import Fleet
from heterosis.workflow.loads import moments
from heterosis.workflow.rehearsal.faults import Fault
from heterosis.workflow.rehearsal.running import Load, merged
from heterosis.workflow.rehearsal.setting import controller_of, joint_task, power_of, published
from heterosis.workflow.subserver import subserver

LATENCY = 0.85
"""Of the SLO, what the virtual soak plans for, without trying."""
READ_S = 5.0
SETTLED = 0.25
"""Of the time, after which memory should not grow any more."""


def run(duration_s: float = 1800.0, rate: float = 2.0, seed: int = 0) -> dict[str, float]:
    """Half an hour of the real server under random faults."""
    faults = live_faults(open_fleet(FLEET), duration_s, seed)
    memory_mb: list[float] = []
    with tempfile.TemporaryDirectory(prefix="heterosis-soak-") as name:
        journal = Path(name) / "soak.journal"

        @contextmanager
        def serve(pipelines: str, options: Sequence[str]) -> Iterator[str]:
            with subserver(pipelines, [*options, "--journal", str(journal)]) as server, reading(server.pid, memory_mb):
                yield server.url

        found = rehearsed("traffic+documents", FLEET, "surges", rate, duration_s, faults, serve)
        records = 0

        def counted() -> Iterator[Record]:
            nonlocal records
            for records, record in enumerate(read_journal(journal), 1):  # noqa: B007 - how many there were
                yield record

        divergence = replay(counted())
    settled = memory_mb[round(SETTLED * len(memory_mb)) :]
    tenth = max(1, len(settled) // 10)
    return {
        "requests": float(found.requests),
        "requests lost": float(found.lost),
        "attainment, live": found.live.attainment,
        "attainment, simulated": found.simulated.attainment,
        "kills of devices": float(sum(each.factor == 0 for each in faults)),
        "slowdowns": float(sum(each.factor > 1 for each in faults)),
        "changes of plan": float(found.live.changes or 0),
        "steps of the scheduler": float(records),
        "steps that a replay does otherwise": float(divergence is not None),
        "server's memory once settled, MB": float(np.median(settled[:tenth])),
        "server's memory at the end, MB": float(np.median(settled[-tenth:])),
        "event loop held up at most, ms": found.longest_stall_ms or 0.0,
        "of that by the server itself, ms": found.longest_own_stall_ms or 0.0,
        "load generator's lag_p99_ms": found.lag_p99_ms,
    }


def live_faults(fleet: Fleet, duration_s: float, seed: int) -> list[Fault]:
    """The schedule of `fault_schedule`, for emulated devices: whole nodes die, and come back."""
    failures, slowdowns = fault_schedule(fleet, duration_s, seed)
    devices = {node.name: [device.name for device in node.devices] for node in fleet.nodes}
    faults = [Fault(node=each.node, device=each.device, at_s=each.at_s, factor=each.factor) for each in slowdowns]
    for failure in failures:
        for device in devices[failure.node]:
            back_s = failure.at_s + failure.repair_s
            faults.append(Fault(node=failure.node, device=device, at_s=failure.at_s, factor=0.0))
            faults.append(Fault(node=failure.node, device=device, at_s=back_s, factor=1.0))
    return faults


@contextmanager
def reading(pid: int, memory_mb: list[float]) -> Iterator[None]:
    """Read the resident memory of a process regularly."""
    import psutil

    process, over = psutil.Process(pid), threading.Event()

    def read() -> None:
        while not over.wait(READ_S):
            memory_mb.append(process.memory_info().rss / 2**20)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def quick(task: Task) -> Answer | None:
    """Plan without trying."""
    return allot(task, limits=Limits(latency=LATENCY))


class Checked(Steering):
    """Checks the scheduler's books after every step."""

    simulator: Simulator | None = None

    def observe(self, record: Record) -> None:
        """Take a step, and check."""
        super().observe(record)
        assert self.simulator is not None
        validate(self.simulator.scheduler)


def fault_schedule(
    fleet: Fleet, duration_s: float, seed: int, *, every_s: float = 60.0
) -> tuple[list[DeviceFailure], list[Slowdown]]:
    """Draw kills (away for some seconds) and slowdowns (over after a while) of random devices."""
    rng = np.random.default_rng(seed)
    units = [(node.name, device.name) for node in fleet.nodes for device in node.devices]
    failures, slowdowns = [], list[Slowdown]()
    at_s = float(rng.exponential(every_s))
    while at_s < duration_s:
        node, device = units[int(rng.integers(len(units)))]
        if rng.random() < 0.5:
            failures.append(DeviceFailure(node, device, at_s, float(rng.exponential(10.0))))
        else:
            slowdowns.append(Slowdown(node, device, at_s, float(rng.uniform(1.5, 3.0))))
            slowdowns.append(Slowdown(node, device, at_s + float(rng.exponential(60.0)), 1.0))
        at_s += float(rng.exponential(every_s))
    return failures, sorted(slowdowns, key=lambda each: each.at_s)


def run_virtual(duration_s: float = 1800.0, rate: float = 4.0, seed: int = 0) -> dict[str, float]:
    """Half an hour of bursts under random faults, in virtual time."""
    fleet = open_fleet("edge-rack")
    task = joint_task(published("traffic", fleet, rate), fleet, SETTINGS.horizon_s)
    answer = quick(task)
    assert answer is not None
    plan = to_plan(task, answer.allotment)
    controller = controller_of(task, answer, plan, SETTINGS, 0.0)
    steering = Checked(controller, quick)
    failures, slowdowns = fault_schedule(fleet, duration_s, seed)
    setting = Setting(
        power=power_of(task),
        steering=steering,
        device_failures=failures,
        slowdowns=slowdowns,
        patience_s=60.0,
    )
    load = Load(moments={"traffic": moments("bursts", rate, None, duration_s)(seed)}, duration_s=duration_s, seed=seed)
    steering.simulator = simulator = Simulator(plan, seed=seed, setting=setting)
    tracemalloc.start()
    outcome = simulator.run(merged(task, load))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outcome.records) == len(load.moments["traffic"])
    return {
        "requests": float(len(outcome.records)),
        "attainment": outcome.attainment,
        "kills": float(len(failures)),
        "slowdowns": len(slowdowns) / 2,
        "changes of plan": float(controller.changes),
        "MB held at the end": held / 2**20,
        "joules": outcome.joules.total.joules or np.nan,
    }

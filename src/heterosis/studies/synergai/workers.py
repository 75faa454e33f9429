"""Workers and their configurations: queries per second, start-up time and power, modelled from published figures.

Rules, all ours, where the figures of the paper are not public:

- *threads*: speed grows by Amdahl's law, with the parallel share that gives the published 2.9 from 1 to 8 threads; it
  then gives 3.35 for 16. The same law holds for the cores of a board.
- *clock*: queries per second grow in proportion to it (QuTiBench's TX2: 0.93th power), the dynamic power of a core with
  the power fitted to QuTiBench's TX2.
- *AGX*: its fastest mode is MLPerf's figure.
- *x86*: the published ratios, 2.8 to 4.2, are taken as those of the fastest configurations. Heavier engines gain more
  from the VM than lighter ones (so they do in the same lab's published TF-Lite table): over the AGX, the ratio rises
  from 2.8 to the geometric middle of the range, over the NX from there to 4.2, with the logarithm of the engine's time.
- *start-up* of a job: 2 s on the VM, longer on a board by the engine's ratio and in slow modes by the clock.
- *power*: of the VM, so many busy vCPUs by Cloud Carbon Footprint's line; of a board's core, that of the AGX's at the
  same clock (both boards have the same Carmel cores). Idle power is one figure for each worker, in all its modes.
"""

from functools import cache
from math import log, sqrt
from typing import Final

import msgspec

from heterosis.studies.synergai.published import (
    AGX_IDLE_W,
    AGX_MODES,
    EIGHT_THREADS,
    ENGINES,
    NX_IDLE_W,
    NX_MODES,
    TX2_POWER,
    VCPU_FULL_W,
    VCPU_IDLE_W,
    X86_ADVANTAGE,
    X86_THREADS,
    Mode,
)
from heterosis.terms import DEFAULT_MODE, Configuration, Device, DeviceType, Fleet, Node, PowerMode, Quality

START_S: Final = 2.0
"""Start-up time of a job on the VM: container, engine and model. Assumed; no figure is public."""
PARALLEL_SHARE: Final = (1 - 1 / EIGHT_THREADS) / (1 - 1 / 8)
"""Amdahl's parallel share that gives the published speed-up of 8 threads."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An engine on a worker in one of its configurations."""

    worker: str
    configuration: Configuration
    qps: float
    """Queries per second, once started."""
    start_s: float
    """Start-up time of each job."""
    dynamic_w: float
    """Power above the worker's idle power while it runs a job."""

    def exec_s(self, queries: int) -> float:
        """Time of a job of so many queries."""
        return self.start_s + queries / self.qps

    def dynamic_j(self, queries: int) -> float:
        """Dynamic energy of a job of so many queries, its start-up included."""
        return self.exec_s(queries) * self.dynamic_w


IDLE_W: Final = {"x86": max(X86_THREADS) * VCPU_IDLE_W, "agx": AGX_IDLE_W, "nx": NX_IDLE_W}
"""Idle power of each worker, one of each: the fleet."""


@cache
def fleet() -> Fleet:
    """The three workers, each alone on its node; a change of power mode is part of a job's start-up."""
    return Fleet(nodes=tuple(_node(worker, idle_w) for worker, idle_w in IDLE_W.items()))


def _node(worker: str, idle_w: float) -> Node:
    active: dict[str, float] = {}
    for choice in (each for engine in ENGINES for each in choices(engine) if each.worker == worker):
        mode = choice.configuration.power_mode
        active[mode] = max(active.get(mode, 0.0), idle_w + choice.dynamic_w)
    kind = DeviceType(
        name=worker,
        kind="cpu",
        power_modes=tuple(
            PowerMode(name=mode, idle_power_w=idle_w, active_power_w=watts) for mode, watts in active.items()
        ),
        quality=Quality.MODELLED,
        source="see published",
        switch_j=0.0,
    )
    return Node(name=worker, devices=(Device(name=worker, type=kind),))


def speed_up(threads: int) -> float:
    """How much faster so many threads are than one."""
    return 1 / (1 - PARALLEL_SHARE + PARALLEL_SHARE / threads)


def advantage(engine: str, worker: str) -> float:
    """Queries per second of the VM over those of a board, both in their fastest configuration."""
    low, high = X86_ADVANTAGE
    middle = sqrt(low * high)
    bottom, top = (low, middle) if worker == "agx" else (middle, high)
    times = [log(each.latency_ms) for each in ENGINES.values()]
    weight = (log(ENGINES[engine].latency_ms) - min(times)) / (max(times) - min(times))
    return float(bottom * (top / bottom) ** weight)


@cache
def power_exponent() -> float:
    """The power of the clock that dynamic power grows with: least squares, through MaxN, over QuTiBench's modes."""
    (top_mhz, top_w, top_idle_w), *others = TX2_POWER
    pairs = [(log(mhz / top_mhz), log((load - idle) / (top_w - top_idle_w))) for mhz, load, idle in others]
    return sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs)


@cache
def choices(engine: str) -> tuple[Choice, ...]:
    """All configurations of an engine, worker by worker, the fastest of each worker first."""
    found = [_vm(engine, threads) for threads in X86_THREADS]
    for worker, modes in (("agx", AGX_MODES), ("nx", NX_MODES)):
        found += sorted((_board(engine, worker, mode, modes) for mode in modes), key=lambda each: -each.qps)
    return tuple(found)


def _vm(engine: str, threads: int) -> Choice:
    return Choice(
        worker="x86",
        configuration=_configuration(engine, "x86", DEFAULT_MODE, threads),
        qps=_x86_qps(engine) * speed_up(threads) / speed_up(max(X86_THREADS)),
        start_s=START_S,
        dynamic_w=threads * (VCPU_FULL_W - VCPU_IDLE_W),
    )


def _x86_qps(engine: str) -> float:
    return 1e3 / ENGINES[engine].latency_ms * advantage(engine, "agx")


def _board(engine: str, worker: str, mode: Mode, modes: tuple[Mode, ...]) -> Choice:
    ratio = advantage(engine, worker)
    fastest = max(modes, key=_speed)
    figures, reference = ENGINES[engine], AGX_MODES[0]
    reference_w = figures.energy_j / figures.latency_ms * 1e3 - AGX_IDLE_W
    return Choice(
        worker=worker,
        configuration=_configuration(engine, worker, mode.name, mode.cores),
        qps=_x86_qps(engine) / ratio * _speed(mode) / _speed(fastest),
        start_s=START_S * ratio * fastest.mhz / mode.mhz,
        dynamic_w=reference_w * mode.cores / reference.cores * (mode.mhz / reference.mhz) ** power_exponent(),
    )


def _speed(mode: Mode) -> float:
    return mode.mhz * speed_up(mode.cores)


def _configuration(engine: str, worker: str, mode: str, threads: int) -> Configuration:
    return Configuration(stage=engine, variant=engine, device_type=worker, power_mode=mode, threads=threads)

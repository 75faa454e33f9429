"""The setting: three chains of functions with different SLOs, at several loads, steady and in bursts.

Functions and chains are ours to state. Times are MLPerf's of six models on a CPU (see `synergai.published`), taken as
those of one slot at full speed. The share of waiting for memory follows for ResNet-50 from QuTiBench's TX2, whose
throughput grows with the 0.93th power of the clock; the others are assumed, higher for networks of depthwise layers. A
request's class is its chain, each of equal share; the SLO of a chain is a multiple of its time at full speed. Run times
have lognormal noise of 10 %.
"""

from functools import cache
from statistics import fmean
from typing import Final

import msgspec

from heterosis.arrivals import bursts, poisson_count
from heterosis.simulation import Arrival, RequestClass, workload
from heterosis.studies.slack.servers import Mode, Servers
from heterosis.studies.synergai.published import ENGINES
from heterosis.terms import TracedCall, TracedRequest

MEMORY: Final = {
    "mobilenet-v3-large": 0.4,
    "mobilenet-v1": 0.4,
    "efficientnet-lite0": 0.35,
    "efficientnet-lite2": 0.3,
    "efficientnet-lite4": 0.25,
    "resnet50": 0.085,
}
"""Share of the time at full speed in which each model waits for memory; ResNet-50's is measured, the rest assumed."""
NOISE: Final = 0.1
"""Coefficient of variation of run times."""
REQUESTS: Final = 600
"""Requests of one run."""
BURST: Final = 2.0
"""Rate within bursts, as a multiple of that between them."""
BASE_S: Final = 4.0
BURST_S: Final = 1.0
"""Mean times between and within bursts."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A function in its place in a chain."""

    name: str
    model: str

    def run_s(self, mode: Mode) -> float:
        """Mean time in a power mode."""
        return ENGINES[self.model].latency_ms / 1e3 * mode.stretch(MEMORY[self.model])


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Functions that run one after the other."""

    name: str
    models: tuple[str, ...]
    slo: float
    """Latency objective, as a multiple of the time at full speed."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The functions in order."""
        return tuple(Stage(name=f"{self.name}-{number}", model=model) for number, model in enumerate(self.models))

    @property
    def full_s(self) -> float:
        """Time at full speed."""
        return sum(ENGINES[model].latency_ms for model in self.models) / 1e3

    @property
    def limit_s(self) -> float:
        """The latency objective."""
        return self.slo * self.full_s


CHAINS: Final = (
    Chain(name="tag", models=("mobilenet-v1", "efficientnet-lite0", "mobilenet-v3-large"), slo=3.0),
    Chain(
        name="detect",
        models=("efficientnet-lite0", "efficientnet-lite2", "efficientnet-lite4", "resnet50"),
        slo=2.0,
    ),
    Chain(
        name="read",
        models=("efficientnet-lite2", "mobilenet-v1", "resnet50"),
        slo=1.5,
    ),
)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How much arrives, as a share of what the servers could do at full speed, never idle; and how."""

    share: float
    bursty: bool = False

    @property
    def name(self) -> str:
        """What it is called in the study's rows."""
        return f"{self.share:.0%} {'bursty' if self.bursty else 'Poisson'}"

    def rate_rps(self, servers: Servers) -> float:
        """Requests a second."""
        return self.share * servers.slots / fmean(chain.full_s for chain in CHAINS)


LOADS: Final = (
    *(Load(share=share) for share in (0.3, 0.5, 0.7, 0.9)),
    *(Load(share=share, bursty=True) for share in (0.3, 0.5)),
)
"""Beyond a half, bursts of twice the rate exceed what the servers can do at all."""


def arrivals(load: Load, servers: Servers, seed: int, requests: int = REQUESTS) -> list[Arrival]:
    """Draw the requests of one run."""
    rate = load.rate_rps(servers)
    if load.bursty:
        base = rate * (BASE_S + BURST_S) / (BASE_S + BURST * BURST_S)
        times = bursts(base, BURST * base, requests / rate, seed, base_s=BASE_S, burst_s=BURST_S)
    else:
        times = poisson_count(rate, requests, seed)
    return workload(times, _classes(), seed=seed)


@cache
def _classes() -> tuple[RequestClass, ...]:
    return tuple(
        RequestClass(shapes=(_shape(chain),), name=chain.name, latency_ms=chain.limit_s * 1e3) for chain in CHAINS
    )


def _shape(chain: Chain) -> TracedRequest:
    """One call of each function, each waiting for the one before."""
    return TracedRequest(
        calls=tuple(
            TracedCall(stage=stage.name, parents=(number - 1,) if number else ())
            for number, stage in enumerate(chain.stages)
        )
    )

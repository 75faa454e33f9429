"""The published figures that the setting is built from, each with its source, and the claims of the paper.

Nothing here was measured by us, and nothing is adjusted; what is modelled from these figures stands in `workers`.
"""

from typing import Final

import msgspec

# --- the paper: Stathopoulou et al., "SynergAI", ACM TECS 2025, arXiv 2509.12252

X86_ADVANTAGE: Final = (2.8, 4.2)
"""Queries per second of the x86 worker over those of the AGX and NX workers: the least and the largest ratio."""
EIGHT_THREADS: Final = 2.9
"""Speed-up of the x86 worker from 1 to 8 threads; 16 are said to add little."""
CLAIMS: Final = {"violations": 2.4, "excess": 5.3, "overhead": 4.4}
"""By how much SynergAI claims to be below SLO-MAEL: violations, excess time, scheduling overhead. Their figures."""

# --- engines: MLPerf Inference, Jetson AGX Xavier, Krai's TFLite (ruy) on the CPU, SingleStream, fp32


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """A model under TFLite on the eight cores of an AGX Xavier without power cap."""

    latency_ms: float
    """90th percentile of one query (the round's official figure; the mean is a little less)."""
    energy_j: float
    """Of one query, the whole board at the wall, its idle power included."""


ENGINES: Final = {
    "mobilenet-v3-large": Engine(latency_ms=12.592308, energy_j=0.271577),
    "mobilenet-v1": Engine(latency_ms=15.152503, energy_j=0.365488),
    "efficientnet-lite0": Engine(latency_ms=15.608246, energy_j=0.348947),
    "efficientnet-lite2": Engine(latency_ms=31.342333, energy_j=0.701256),
    "efficientnet-lite4": Engine(latency_ms=70.998233, energy_j=1.689282),
    "resnet50": Engine(latency_ms=77.977641, energy_j=2.185312),
}
"""MLPerf Inference v2.0 open (the first five) and v2.1 closed (resnet50), lightest first. MLPerf is a trademark of
MLCommons; what is derived from these figures is not verified by MLCommons."""

# --- idle power: MLPerf Inference v1.1 closed, NVIDIA, lowest reading around the runs: an estimate

AGX_IDLE_W: Final = 8.28
NX_IDLE_W: Final = 3.94

# --- power modes: NVIDIA Jetson Linux developer guide, "Supported Modes and Power Efficiency" (nvpmodel)


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """A power mode: so many cores online, up to so many megahertz."""

    name: str
    cores: int
    mhz: float


AGX_MODES: Final = (
    Mode(name="MAXN", cores=8, mhz=2265.6),
    Mode(name="30W_ALL", cores=8, mhz=1200),
    Mode(name="30W_6CORE", cores=6, mhz=1450),
    Mode(name="30W_4CORE", cores=4, mhz=1780),
    Mode(name="30W_2CORE", cores=2, mhz=2100),
    Mode(name="15W", cores=4, mhz=1200),
    Mode(name="10W", cores=2, mhz=1200),
)
NX_MODES: Final = (
    Mode(name="15W_6CORE", cores=6, mhz=1400),
    Mode(name="15W_4CORE", cores=4, mhz=1400),
    Mode(name="15W_2CORE", cores=2, mhz=1900),
    Mode(name="10W_4CORE", cores=4, mhz=1200),
    Mode(name="10W_2CORE", cores=2, mhz=1500),
)

# --- power of the cores by frequency: QuTiBench (RCL-lab), Jetson TX2, ResNet-50 FP32, batch 128

TX2_POWER: Final = ((1300, 15.21, 5.70), (1120, 10.88, 4.70), (850, 7.93, 4.15))
"""Megahertz, watts under load and watts at idle in MaxN, MaxP and MaxQ."""

# --- the x86 VM: Cloud Carbon Footprint, AWS coefficients, Cascade Lake, watts of one vCPU idle and at full load

VCPU_IDLE_W: Final = 0.6902978319127387
VCPU_FULL_W: Final = 4.063193520161689
X86_THREADS: Final = (16, 8, 4, 2, 1)
"""Threads of the configurations of a VM of 16 vCPUs; the paper's range is 1 to 16."""

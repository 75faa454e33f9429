"""Servers whose cores share clocks: their power modes, and the time and the power of a function in each.

Rules, all ours:

- A *mode* is a pair of clocks, of the cores and of the uncore (caches, memory controllers), each a share of the
  highest. The clocks are the three of QuTiBench's TX2, so that what they draw was measured, not extrapolated.
- *Time*: ``T(core, uncore) = T * ((1 - memory) / core + memory / uncore)``; ``memory`` is the share of the time at full
  speed in which a function waits for memory.
- *Power* of a server with so many slots (cores): its shape are medians of SPECpower, its watts at full load those of
  Cloud Carbon Footprint's vCPUs. Asleep (nothing runs, package C6) it draws SPECpower's active idle power. Awake, it
  draws what the line through 10 and 20 % load gives at no load: clocks are low at such loads, so the difference is
  taken as the uncore's power at its lowest clock. The rest is spread over the busy slots: what the uncore draws at
  a higher clock, and the cores. Both follow the clock as the TX2's power under load does: 1, 0.65, 0.40 at 1, 0.86,
  0.65 of the highest.
- A server is split into *domains*, devices of some slots that share both clocks, with equal parts of its power.
- A change of mode stops the domain for half a millisecond, in which it draws its full power.
"""

from functools import cache
from typing import Final

import msgspec

from heterosis.studies.slack.published import SPECPOWER, SWITCH_MS, WAKE_MS
from heterosis.studies.synergai.published import TX2_POWER, VCPU_FULL_W
from heterosis.terms import DEFAULT_MODE, Device, DeviceType, Fleet, Node, PowerMode, Quality


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """Clocks of cores and uncore, as shares of the highest."""

    core: float
    uncore: float

    @property
    def name(self) -> str:
        """The pair, in per cent; full speed is the mode that every device starts in."""
        return DEFAULT_MODE if self.core == self.uncore == 1 else f"{self.core:.0%}/{self.uncore:.0%}"

    def stretch(self, memory: float) -> float:
        """Time of a function, of which a share waits for memory, as a multiple of that at full speed."""
        return (1 - memory) / self.core + memory / self.uncore


_TOP_MHZ: Final = TX2_POWER[0][0]
_CLOCKS: Final = {mhz / _TOP_MHZ: load_w - idle_w for mhz, load_w, idle_w in TX2_POWER}
MODES: Final = tuple(
    Mode(core=core, uncore=uncore)
    for uncore in (max(_CLOCKS), min(_CLOCKS))
    for core in sorted(_CLOCKS, reverse=True)
    if core <= uncore or core < 1
)
"""Three clocks of the cores by two of the uncore, but for fast cores with a slow uncore; full speed first."""


def power_share(clock: float) -> float:
    """Power at a clock, as a share of that at the highest."""
    return _CLOCKS[clock] / _CLOCKS[max(_CLOCKS)]


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """Servers of one generation."""

    years: str = "2019-2024"
    """Of the hardware, one of `SPECPOWER`."""
    domains: int = 8
    """All together."""
    width: int = 4
    """Slots of a domain."""

    @property
    def name(self) -> str:
        """What the fleet is called in the study's rows."""
        return f"{self.domains}x{self.width} {self.years}"

    @property
    def slots(self) -> int:
        """Cores of all domains."""
        return self.domains * self.width

    @property
    def asleep_w(self) -> float:
        """Power of a domain that runs nothing."""
        return SPECPOWER[self.years][0] * self._full_w

    @property
    def awake_w(self) -> float:
        """Power of a domain that runs something, before its slots'."""
        idle, tenth, fifth = SPECPOWER[self.years]
        return max(2 * tenth - fifth, idle) * self._full_w

    def busy_w(self, mode: Mode) -> float:
        """Power of a busy slot."""
        core_w = (self._full_w - self.awake_w) / self.width - self._uncore_w(1)
        return core_w * power_share(mode.core) + self._uncore_w(mode.uncore)

    def _uncore_w(self, clock: float) -> float:
        """A busy slot's part of what the uncore draws beyond its lowest clock."""
        lowest_w = (self.awake_w - self.asleep_w) / self.width
        return lowest_w * (power_share(clock) / power_share(min(_CLOCKS)) - 1)

    @property
    def _full_w(self) -> float:
        return self.width * VCPU_FULL_W


@cache
def fleet(servers: Servers) -> Fleet:
    """The domains, all on one node."""
    kind = DeviceType(
        name="domain",
        kind="cpu",
        power_modes=tuple(
            PowerMode(
                name=mode.name,
                idle_power_w=servers.awake_w,
                active_power_w=servers.awake_w + servers.width * servers.busy_w(mode),
            )
            for mode in MODES
        ),
        quality=Quality.MODELLED,
        source="see published",
        sleep_power_w=servers.asleep_w,
        wake_ms=WAKE_MS,
        switch_ms=SWITCH_MS,
        switch_j=SWITCH_MS / 1e3 * servers.width * servers.busy_w(MODES[0]),
    )
    devices = tuple(Device(name=f"d{number}", type=kind, slots=servers.width) for number in range(servers.domains))
    return Fleet(nodes=(Node(name="servers", devices=devices),))

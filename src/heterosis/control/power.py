"""The power of the devices through a run: modes, sleep, off."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf

from heterosis.control.energy import NOTHING, Joules
from heterosis.control.rests import RestS, Rests, never
from heterosis.scheduling.state import Unit
from heterosis.terms import DEFAULT_MODE, UNKNOWN, Device, Energy, Fleet, Placement, Plan, Quality
from heterosis.terms.errors import UsageError

SLEEP = "sleep"

LINGER_S = 1.0
"""A device that had an instance so shortly before has not gone off yet: one that changes its power mode, say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The fleet whose energy is counted, and what devices with nothing to do do."""

    fleet: Fleet
    sleep_after_s: float | None = None
    """A device that can sleep does so once it ran nothing for so long, and is woken by its next batch; None: never."""
    off_without_instances: bool = True
    """A device without instances is off, and an off device draws nothing; otherwise it idles."""
    rest_s: RestS = never
    """For how long it sleeps before it is off, with what it hosted in memory."""


@dataclass(slots=True)
class _State:
    """A device as it is now."""

    device: Device
    mode: str
    on: bool
    since: float = 0.0
    """Up to when its energy is counted."""
    off_since: float = -inf
    asleep_until: float = -inf
    """Where it is off: until then it slept."""
    batches: int = 0
    idle_since: float = 0.0
    ready_at: float = 0.0
    """From when on it can run: it may be waking, or changing its mode."""
    energy: dict[str, Energy] = field(default_factory=dict)


class Meter:
    """Follows the devices of a fleet, and counts what they draw."""

    def __init__(self, power: Power, plans: Collection[Plan]) -> None:
        """Start with every device off or idle. Raise UsageError where a plan names what the fleet does not have."""
        self._power, self._rests = power, Rests(power.rest_s)
        self._states = {
            (node.name, device.name): _State(device, _first_mode(device), on=not power.off_without_instances)
            for node in power.fleet.nodes
            for device in node.devices
        }
        for placement in (placement for plan in plans for placement in plan.placements):
            self._check(placement)
        self._switching = self._starting = NOTHING

    def present(self, placements: Iterable[Placement], now: float, *, lost: Unit | None = None) -> None:
        """Note which instances there are from now on; what was on a device that failed is ``lost``."""
        if not self._power.off_without_instances:
            return
        hosted: dict[Unit, list[Placement]] = {}
        for placement in placements:
            hosted.setdefault(placement.unit, []).append(placement)
        for unit, state in self._states.items():
            of = hosted.get(unit, [])
            if of or state.on:
                self._rests.present(unit, of, now, lost=unit == lost)
            on = bool(of)
            if on != state.on:
                self._count(state, now)
                state.on, state.idle_since = on, now
                state.asleep_until = self._rests.sleeps_until(unit)
                if not on:
                    state.off_since = now

    def keeps(self, placement: Placement, now: float) -> bool:
        """Whether the device sleeps, with this very configuration in memory."""
        return self._rests.keeps(placement, now)

    def wake_s(self, unit: Unit, now: float) -> float:
        """How long a device takes until it can load anything; 0 where it is on, or has not gone off yet."""
        state = self._states[unit]
        return 0.0 if state.on or now - state.off_since < LINGER_S else state.device.type.wake_ms / 1e3

    def begin(self, unit: Unit, now: float) -> float:
        """Take a batch that is sent to a device; return the earliest moment at which it can run."""
        state = self._states[unit]
        self._wake(state, now)
        state.batches += 1
        return state.ready_at

    def end(self, unit: Unit, now: float) -> None:
        """Take the end of a batch."""
        state = self._states[unit]
        if state.batches == 1:
            self._count(state, now)
            state.idle_since = now
        state.batches -= 1

    def switch(self, unit: Unit, mode: str, now: float) -> None:
        """Bring a device into another power mode; it can run nothing until that is done."""
        state = self._states[unit]
        if state.mode != mode:
            self._wake(state, now)
            kind = state.device.type
            self._switching += _energy(kind.switch_j, kind.quality)
            state.ready_at = max(state.ready_at, now) + kind.switch_ms / 1e3
            state.mode = mode

    def start(self, placement: Placement, load_s: float) -> None:
        """Take the loading of an instance."""
        device = self._states[placement.node, placement.device].device
        power_w = device.dynamic_power_w(placement.configuration.power_mode)
        joules = None if power_w is None else power_w * max(len(placement.slots), 1) * load_s
        self._starting += _energy(joules, device.type.quality)

    def total(self, now: float) -> Joules:
        """What was drawn up to now; the dynamic part is not this meter's."""
        found = Joules(idle=NOTHING, switching=self._switching, starting=self._starting)
        for (node, name), state in self._states.items():
            self._count(state, now)
            for mode, energy in state.energy.items():
                found.idle_by[node, name, mode] = energy
                found.idle += energy
        return found

    def _wake(self, state: _State, now: float) -> None:
        """Count up to now, and end its sleep if it sleeps."""
        self._count(state, now)
        if not state.batches and state.idle_since + self._patience_s(state) < now:
            state.ready_at = max(state.ready_at, now + state.device.type.wake_ms / 1e3)
        state.idle_since = now

    def _patience_s(self, state: _State) -> float:
        after_s = self._power.sleep_after_s
        return float("inf") if after_s is None or state.device.type.sleep_power_w is None else after_s

    def _count(self, state: _State, now: float) -> None:
        """Add the base power from where it was counted last until now: awake first, then asleep."""
        if state.on and now > state.since:
            asleep_from = (
                now if state.batches else min(max(state.idle_since + self._patience_s(state), state.since), now)
            )
            if asleep_from > state.since:
                _add(state, state.mode, state.device.idle_power_w(state.mode), asleep_from - state.since)
            if now > asleep_from:
                _add(state, SLEEP, state.device.type.sleep_power_w, now - asleep_from)
        elif not state.on and min(state.asleep_until, now) > state.since:
            _add(state, SLEEP, state.device.type.sleep_power_w, min(state.asleep_until, now) - state.since)
        state.since = now

    def _check(self, placement: Placement) -> None:
        state = self._states.get(placement.unit)
        if state is None:
            raise UsageError(
                f"the plan has {placement.instance} on {placement.node}/{placement.device}, and the fleet lacks that"
            )
        mode, known = placement.configuration.power_mode, [mode.name for mode in state.device.type.power_modes]
        if mode not in known:
            raise UsageError(
                f"the plan runs {placement.instance} in power mode {mode!r}; device {placement.device} has: "
                f"{', '.join(known)}"
            )


def _first_mode(device: Device) -> str:
    """The mode that a device is in at first, as the scheduling core assumes it; its first mode where it lacks that."""
    names = [mode.name for mode in device.type.power_modes]
    return DEFAULT_MODE if DEFAULT_MODE in names else names[0]


def _add(state: _State, mode: str, power_w: float | None, seconds: float) -> None:
    joules = None if power_w is None else power_w * seconds
    state.energy[mode] = state.energy.get(mode, NOTHING) + _energy(joules, state.device.type.quality)


def _energy(joules: float | None, quality: Quality) -> Energy:
    """Joules of a device type's figures; those that do not say where they come from count as modelled."""
    if joules is None:
        return UNKNOWN
    return Energy(joules, Quality.MODELLED if quality is Quality.NONE else quality)

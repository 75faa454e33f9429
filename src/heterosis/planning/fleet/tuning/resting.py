"""When a device that has nothing to do goes to sleep, and when it is switched off.

Idle it is back at once; asleep it keeps its instances and must wake; off it draws nothing, and must wake and load them
again. How long it will have nothing to do is not known. Lower states are entered when they would have been cheaper from
the start (the lower envelope of what each has cost by then), which never takes more than twice the joules of one who
knows (Irani, Shukla and Gupta, "Online strategies for dynamic power management in systems with multiple power-saving
states", ACM TECS 2003; with two states this is the ski rental of Karlin et al. 1988).

This is for devices that a plan could do without for a while; one that must answer within the SLO has no time to wake
unless the plan counted it in.
"""

from collections.abc import Iterable, Sequence

import msgspec

from heterosis.planning.fleet.changes.contents import power_mode
from heterosis.planning.fleet.changes.starts import Starts
from heterosis.planning.fleet.task import Unit
from heterosis.terms import Placement
from heterosis.terms.errors import UsageError


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a device draws in it, and what it takes to be back from there."""

    name: str
    power_w: float
    back_j: float = 0.0


def rests(states: Iterable[State]) -> list[tuple[State, float]]:
    """Return the states worth entering and after how many seconds, from the one that is back at once.

    Raise UsageError where there is no such one.
    """
    left = sorted(states, key=lambda state: (state.back_j, state.power_w))
    if not left or left[0].back_j != 0:
        raise UsageError(
            "one state must cost nothing to be back from: the one that a device is in when it ends its work"
        )
    found = [(left[0], 0.0)]
    while lower := [state for state in left if state.power_w < found[-1][0].power_w]:
        state = found[-1][0]

        def even_s(each: State, state: State = state) -> float:
            return (each.back_j - state.back_j) / (state.power_w - each.power_w)

        following = min(lower, key=lambda each: (even_s(each), each.power_w))
        found.append((following, even_s(following)))
    return found


def resting(starts: Starts, unit: Unit, hosted: Sequence[Placement]) -> list[tuple[str, float]]:
    """Return the states that a device with these instances should enter when it has nothing to do, after which seconds.

    ``idle``, ``sleep``, ``off``; only the first where its power is unknown. To load draws the idle power and, above
    that, what each instance takes.
    """
    kind, mode = starts.kind(unit), power_mode(hosted)
    idle_w, sleep_w = kind.device.idle_power_w(mode), kind.type.sleep_power_w
    if idle_w is None:
        return [("idle", 0.0)]
    wake_j = starts.wake_j(unit, (), hosted)
    load_j = sum(starts.load_j(unit, each) for each in hosted) + idle_w * max(map(starts.load_s, hosted))
    states = [State(name="idle", power_w=idle_w), State(name="off", power_w=0.0, back_j=wake_j + load_j)]
    if sleep_w is not None:
        states.append(State(name="sleep", power_w=sleep_w, back_j=wake_j))
    return [(state.name, after_s) for state, after_s in rests(states)]


def sleeping_s(starts: Starts, unit: Unit, hosted: Sequence[Placement]) -> float:
    """For how long a device without work that hosted these sleeps before it is better off; 0 where it should not."""
    begins = dict(resting(starts, unit, hosted))
    return begins["off"] - begins["sleep"] if "sleep" in begins and "off" in begins else 0.0

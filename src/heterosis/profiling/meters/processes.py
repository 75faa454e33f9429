"""CPU time of processes and of all that they start, without losing what ends between two readings.

A process that has been waited for leaves its seconds with its parent (``cutime`` and ``cstime`` in /proc/PID/stat), so
the seconds of a family are those of its living members and of the children that each of them has waited for. Only the
end of one whose parent is gone, or outside of the family, is not seen: it keeps the seconds of its last reading.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil

from heterosis.devices.sysfs import ROOT, text

PROC = "/proc"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ATTEMPTS = 3
FAMILY_PERIOD_S = 10.0
"""How often families have to be read. A worker that dies is waited for by its server, so that nothing of it is lost;
but with it may go what a child of its own has used since the last reading."""
MOST_BYTES = 1 << 16
"""More than a line of /proc/PID/stat has, and room for ten thousand children."""


@dataclass(frozen=True, slots=True)
class _Stat:
    """What a process had used when it was last read. ``started`` tells it from a later one of the same number."""

    pid: int
    parent: int
    started: int
    own_s: float
    children_s: float
    """Of the children that it has waited for, and theirs."""

    @property
    def total_s(self) -> float:
        return self.own_s + self.children_s


def machine_cpu_seconds(root: Path = ROOT) -> float:
    """Return the CPU seconds that all processes of the machine have used since it started."""
    user, nice, system, _, _, irq, softirq = (int(ticks) for ticks in text(root / "proc/stat").split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


class Families:
    """The processes watched and their descendants. It may be read from several threads."""

    def __init__(self) -> None:
        """Watch none yet."""
        self._lock = threading.Lock()
        self._alive: dict[int, _Stat] = {}
        self._before: dict[tuple[int, int], float] = {}
        """By number and start: what a process had used before it was watched."""
        self._left_s = 0.0
        """Of those that are gone, and that no living member has waited for."""

    def watch(self, pid: int) -> None:
        """Count a process and its children from now on; one that has ended already has nothing to count."""
        with self._lock:
            self._read()
            for stat in _family(pid):
                if stat.pid not in self._alive:
                    self._alive[stat.pid] = stat
                    self._before[stat.pid, stat.started] = stat.total_s

    def cpu_seconds(self) -> float:
        """Return the CPU seconds so far, over all processes and cores."""
        with self._lock:
            self._read()
            spent = sum(stat.total_s - self._before.get((stat.pid, stat.started), 0.0) for stat in self._alive.values())
            return self._left_s + spent

    def _read(self) -> None:
        """Find who lives, and settle what those leave who do not."""
        known = self._alive
        found: dict[int, _Stat] = {}
        for pid, before in known.items():
            if pid not in found:
                stat = _stat(pid)
                if stat is not None and stat.started == before.started:
                    found.update((member.pid, member) for member in _family(pid))
        gone: dict[int, float] = {}
        """Seconds of the dead when they were last read, by the nearest ancestor that lives (0: none does)."""
        for pid, before in known.items():
            if pid not in found or found[pid].started != before.started:
                heir = before.parent
                while heir in known and heir not in found:
                    heir = known[heir].parent
                heir = heir if heir in known and heir in found else 0
                spent = before.total_s - self._before.pop((pid, before.started), 0.0)
                gone[heir] = gone.get(heir, 0.0) + spent
        for heir, seconds in gone.items():
            inherited = found[heir].children_s - known[heir].children_s if heir else 0.0
            self._left_s += max(0.0, seconds - inherited)  # what was waited for is more, by what ended unread
        self._alive = found


def _family(pid: int) -> list[_Stat]:
    """A process and its descendants, read anew where one of its children was waited for meanwhile.

    Otherwise that child's seconds would be missing from both, and be counted again once they are found.
    """
    found: list[_Stat] = []
    stat = _stat(pid)
    for _ in range(ATTEMPTS):
        if stat is None:
            break
        found = [stat]
        children = _children(pid)
        if not children:
            break
        for child in children:
            found += _family(child)
        before, stat = stat, _stat(pid)
        if stat is None or stat.children_s == before.children_s:
            break
    return found


def _children(pid: int) -> list[int]:
    """Those that each thread has started. Linux without CONFIG_PROC_CHILDREN says it only process by process."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"{PROC}/{pid}/task"):  # noqa: PTH208 - paths as objects cost more than all the rest
            found += map(int, _bytes(f"{PROC}/{pid}/task/{thread}/children").split())
    except OSError:
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.Error:
            return []
    return found


def _stat(pid: int) -> _Stat | None:
    """Read /proc/PID/stat; None where the process is gone."""
    try:
        line = _bytes(f"{PROC}/{pid}/stat")
    except OSError:
        return None
    # proc_pid_stat(5): the name in parentheses may hold anything; after it come state, parent, …
    fields = line[line.rindex(b")") + 2 :].split(maxsplit=20)
    utime, stime, cutime, cstime = (int(ticks) / TICKS_PER_S for ticks in fields[11:15])
    return _Stat(
        pid=pid, parent=int(fields[1]), started=int(fields[19]), own_s=utime + stime, children_s=cutime + cstime
    )


def _bytes(path: str) -> bytes:
    """Read a whole file of /proc, at the least cost."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, MOST_BYTES)
    finally:
        os.close(descriptor)

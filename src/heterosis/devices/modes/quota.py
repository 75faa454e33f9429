"""A share of CPU time for this server and its workers together: the quota of a control group (cgroup v1 and v2).

Modes are like ``1.5cpus``. It bounds what is drawn without any right over the clock, and models a smaller machine. On
v2 the quota is that of the group that the process is in, as containers and systemd services have it; on v1, and at the
top of v2, it is that of a group made below, into which the process moves. Documentation/scheduler/sched-bwc.rst in
Linux.
"""

import contextlib
import os
from pathlib import Path

from heterosis.devices.cpu import cores_of_machine
from heterosis.devices.modes.actuator import State, amount
from heterosis.devices.sysfs import ROOT, text
from heterosis.terms.errors import HardwareError

UNIT = "cpus"
LEAST = 0.1

PERIOD_US = 10_000
"""A process out of quota waits for the next period. The system's own 100 ms would be felt in every latency."""


class CpuQuota:
    """The control group of this process."""

    def __init__(self, root: Path = ROOT) -> None:
        """Raise HardwareError where there is no group that can have a quota."""
        self._root = root
        self._most = cores_of_machine(root)
        self._version, self._own = _own_group(root)
        self._made: Path | None = None

    @property
    def modes(self) -> tuple[str, ...]:
        """The least and the most."""
        return (f"{LEAST:g}{UNIT}", f"{self._most}{UNIT}")

    def takes(self, mode: str) -> bool:
        """Whether a mode lies between the least and the most."""
        cpus = amount(mode, UNIT)
        return cpus is not None and LEAST <= cpus <= self._most

    def read(self) -> State:
        """Return the quota of the group as it is, or that there will be a group of ours."""
        if self._version == 2 and self._own != self._top:  # noqa: PLR2004 - cgroup v2
            return {"group": str(self._own), "quota": text(self._own / "cpu.max")}
        return {"group": str(self._own / f"heterosis-{os.getpid()}"), "quota": ""}

    def set(self, mode: str) -> None:
        """Set the quota, and move into a group of ours where it takes one."""
        cpus = amount(mode, UNIT)
        assert cpus is not None  # noqa: S101 - as `takes` has said
        state = self.read()
        group, quota_us = Path(state["group"]), round(cpus * PERIOD_US)
        try:
            if not state["quota"] and self._made is None:
                self._make(group)
            if self._version == 1:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
                found = f"{text(group / 'cpu.cfs_quota_us')} {text(group / 'cpu.cfs_period_us')}"
            else:
                (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
                found = text(group / "cpu.max")
        except OSError as error:
            raise HardwareError(f"the control group {group} takes no quota: {error}; {_HELP}") from None
        if found != f"{quota_us} {PERIOD_US}":
            raise HardwareError(f"the control group {group} was given {quota_us} {PERIOD_US} us and says {found}")

    def restore(self, state: State) -> None:
        """Write back the quota, or leave the group that was made, and remove it."""
        group = Path(state["group"])
        try:
            if state["quota"]:
                (group / "cpu.max").write_text(state["quota"])
            elif group.exists():
                for pid in text(group / "cgroup.procs").split():
                    _move(group.parent, pid)
                group.rmdir()
                self._made = None
        except OSError as error:
            raise HardwareError(f"the quota of {group} cannot be taken back: {error}") from None

    @property
    def _top(self) -> Path:
        return self._root / ("sys/fs/cgroup/unified" if _hybrid(self._root) else "sys/fs/cgroup")

    def _make(self, group: Path) -> None:
        if self._version == 2:  # noqa: PLR2004 - cgroup v2
            (group.parent / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir(exist_ok=True)
        self._made = group
        _move(group, str(os.getpid()))


_HELP = "run as root, or in a service with Delegate=yes"


def _own_group(root: Path) -> tuple[int, Path]:
    """Version and folder of the group whose CPU time this process gets."""
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        mounts = [controllers, "cpu"] if controllers else [""]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            # A container sees its own group as the top, though its path may still be told from the host's.
            for group in (root / "sys/fs/cgroup" / mount / name.strip("/"), root / "sys/fs/cgroup" / mount):
                if controllers and (group / "cpu.cfs_quota_us").is_file():
                    return 1, group
                if not controllers and "cpu" in text(group / "cgroup.controllers").split():
                    return 2, group
    raise HardwareError("no control group with a quota of CPU time (cgroup v1 or v2, controller cpu)")


def _hybrid(root: Path) -> bool:
    return (root / "sys/fs/cgroup/unified").is_dir()


def _move(group: Path, pid: str) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        (group / "cgroup.procs").write_text(pid)

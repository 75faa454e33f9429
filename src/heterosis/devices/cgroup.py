"""What the control group of this process allows it: a container's share of CPU time and memory, cgroup v1 and v2."""

from collections.abc import Iterator
from pathlib import Path

UNLIMITED_BYTES = 1 << 60
"""cgroup v1 writes "no limit" as the largest number of whole pages in 63 bits."""


def cpu_quota(root: Path) -> float | None:
    """Return how many CPUs' worth of time the process may use; None without a limit."""
    quotas = []
    for file in _files(root, "cpu", "cpu.max"):
        quota, _, period = _read(file).partition(" ")
        if quota not in ("", "max"):
            quotas.append(int(quota) / int(period or 100_000))
    for file in _files(root, "cpu", "cpu.cfs_quota_us"):
        quota, period = _read(file), _read(file.with_name("cpu.cfs_period_us"))
        if period and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit(root: Path) -> int | None:
    """Return how many bytes of memory the process may use; None without a limit."""
    limits = [
        int(text)
        for name in ("memory.max", "memory.limit_in_bytes")
        for file in _files(root, "memory", name)
        if (text := _read(file)) not in ("", "max")
    ]
    return min((limit for limit in limits if limit < UNLIMITED_BYTES), default=None)


def _files(root: Path, controller: str, name: str) -> Iterator[Path]:
    """Files of this name for the process' own group and all above it: a limit anywhere on the way up holds."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = (controllers, controller) if controllers else ("", "unified")
        # A container sees its own group as the top, though its path may still be told from the host's.
        own = Path(group.strip("/"))
        places = [place for place in (own, *own.parents) if ".." not in place.parts]
        found = {root / "sys/fs/cgroup" / mount / place / name for mount in mounts for place in places}
        yield from (file for file in sorted(found) if file.is_file())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""

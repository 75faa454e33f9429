"""Memory of a process with all that it has started, as Linux counts it."""

from pathlib import Path

import msgspec


class Memory(msgspec.Struct, frozen=True):
    """Resident bytes. A page that several processes have counts for each in equal parts: among themselves, once."""

    own: int
    """Written by one process alone."""
    shared: int
    """Of memory without a file that processes share."""
    files: int
    """Of code and other files. Less where programs that have nothing to do with it run from the same."""

    @property
    def written(self) -> int:
        """All that the system could not read again from where it came."""
        return self.own + self.shared


def tree_memory(root: int) -> Memory:
    """Read it of a process and its descendants."""
    import psutil

    found = dict.fromkeys(("Pss_Anon", "Pss_Shmem", "Pss_File"), 0)
    process = psutil.Process(root)
    for each in (process, *process.children(recursive=True)):
        try:
            lines = Path(f"/proc/{each.pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name in found:
                found[name] += int(value.split()[0]) << 10
    return Memory(*found.values())

"""Starting and stopping workers."""

from collections.abc import Callable
from typing import Protocol

from heterosis.terms import Placement, Variant

Ended = Callable[[str, str], None]
"""Called with the name of an instance and the reason when it is gone, however that came."""


class Launcher(Protocol):
    """Starts workers somewhere."""

    async def start(self, placement: Placement, variant: Variant, address: str, token: str, ended: Ended) -> None:
        """Start a worker that will join the router at this address. Call ``ended`` once, when it is gone.

        ``variant`` is what it will be told to run: some need a process of their own, others can share one.
        """
        ...

    async def stop(self, instance: str) -> None:
        """End a worker; ``ended`` is called when it is gone."""
        ...

    def pids(self) -> dict[str, int]:
        """The processes that run on this machine, by instance; instances may share one."""
        ...

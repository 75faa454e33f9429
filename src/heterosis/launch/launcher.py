"""Starting and stopping workers."""

from collections.abc import Callable
from typing import Protocol

from heterosis.terms import Placement

Ended = Callable[[str, str], None]
"""Called with the name of an instance and the reason when its process ended, however that came."""


class Launcher(Protocol):
    """Starts worker processes somewhere."""

    async def start(self, placement: Placement, address: str, token: str, ended: Ended) -> None:
        """Start a worker that will join the router at this address. Call ``ended`` once, when it is gone."""
        ...

    async def stop(self, instance: str) -> None:
        """End a worker; ``ended`` is called when it is gone."""
        ...

    def pids(self) -> dict[str, int]:
        """The processes that run on this machine, by instance."""
        ...

"""For how long the event loop was held up, and whether by the server itself.

A stall is how much later than asked for a short sleep ends. Meanwhile the loop's thread has computed, has waited for
the disk or for another thread of the server, or was ready to run and had no core: others had them. Linux counts the
last by thread (``/proc/<pid>/task/<tid>/schedstat``, its second number, in nanoseconds); the rest is the server's own
doing.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress

from heterosis.serving.rhythm import until_beat

SLEEP_S = 0.02
CALM_SLEEP_S = 0.25
"""While nobody waits for anything that a stall could hold up."""
SCHEDSTAT = "/proc/thread-self/schedstat"
_MOST_BYTES = 64


class Stalls:
    """Watches the event loop that `watch` runs on."""

    def __init__(self) -> None:
        """Know of none yet."""
        self.longest_s = 0.0
        """By whatever."""
        self.longest_own_s = 0.0
        """As far as it was not for want of a core; where the system does not count that, no longer than this process
        computed meanwhile."""

    async def watch(self, busy: Callable[[], bool] = lambda: True) -> None:
        """Watch until cancelled; closely only while the loop is ``busy``, since each look has it wake up."""
        file = None
        with suppress(OSError):
            file = os.open(SCHEDSTAT, os.O_RDONLY)
        try:
            while True:
                sleep_s = SLEEP_S if busy() else until_beat(CALM_SLEEP_S)
                begin, elsewhere_s, computed_s = time.monotonic(), _waited_s(file), time.process_time()
                await asyncio.sleep(sleep_s)
                late_s = time.monotonic() - begin - sleep_s
                if file is None:
                    own_s = min(late_s, time.process_time() - computed_s)
                else:
                    own_s = late_s - (_waited_s(file) - elsewhere_s)
                self.longest_s = max(self.longest_s, late_s)
                self.longest_own_s = max(self.longest_own_s, own_s)
        finally:
            if file is not None:
                os.close(file)


def _waited_s(file: int | None) -> float:
    """For how long this thread has been ready to run without a core; 0 where that is not counted."""
    return 0.0 if file is None else int(os.pread(file, _MOST_BYTES, 0).split()[1]) / 1e9

"""What a server does now and then is done at the same moments, so that it wakes up once for all of it.

A server that has nothing else to do finds its caches cold: to wake up costs it a quarter of a millisecond.
"""

import asyncio


def until_beat(period_s: float) -> float:
    """Return the seconds until the loop's clock stands at the next multiple of a period."""
    return period_s - asyncio.get_running_loop().time() % period_s


async def next_beat(period_s: float) -> None:
    """Sleep until then."""
    await asyncio.sleep(until_beat(period_s))

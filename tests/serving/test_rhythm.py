"""What is done now and then, at the same moments."""

import asyncio

from heterosis.serving.rhythm import next_beat


async def test_beats_of_several_periods_fall_together() -> None:
    """Whenever it was begun, what is done every fifth of a second is done at the same time as each tenth's."""
    loop = asyncio.get_running_loop()
    beats: dict[float, list[float]] = {0.1: [], 0.2: []}

    async def keep(period_s: float, begins_s: float) -> None:
        await asyncio.sleep(begins_s)
        while True:
            await next_beat(period_s)
            beats[period_s].append(loop.time())

    tasks = [asyncio.create_task(keep(0.1, 0.03)), asyncio.create_task(keep(0.2, 0.07))]
    await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    assert 4 <= len(beats[0.2]) <= 5
    assert 8 <= len(beats[0.1]) <= 10
    for beat in beats[0.2]:
        assert min(abs(other - beat) for other in beats[0.1]) < 0.02

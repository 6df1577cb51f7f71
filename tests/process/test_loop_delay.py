"""The delay of the event loop."""

import asyncio
import time

from soketpy.core.histograms import BOUNDS
from soketpy.process.loop_delay import INTERVAL, LoopDelay
from tests.patience import until


async def test_a_callback_that_blocks_the_event_loop_is_a_delay() -> None:
    loop = asyncio.get_running_loop()
    delay = LoopDelay(loop)
    delay.start()
    loop.call_soon(time.sleep, INTERVAL + 0.3)  # the work of a callback that takes so long
    await until(lambda: delay.delays.seconds >= 0.25)
    assert sum(number for bound, number in zip(BOUNDS, delay.delays.classes, strict=False) if bound > 0.25) > 0
    delay.stop()


async def test_nothing_is_measured_after_the_stop() -> None:
    loop = asyncio.get_running_loop()
    delay = LoopDelay(loop)
    delay.start()
    delay.stop()
    later = loop.create_future()
    loop.call_at(loop.time() + 2 * INTERVAL, later.set_result, None)
    await later
    assert sum(delay.delays.classes) == 0


def test_a_delay_that_has_not_started_can_be_stopped() -> None:
    loop = asyncio.new_event_loop()
    LoopDelay(loop).stop()
    loop.close()

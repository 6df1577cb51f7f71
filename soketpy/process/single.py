"""A server of one process: it runs until a signal stops it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from soketpy.config import Settings
from soketpy.core.containment import contain
from soketpy.process.configuration import Configuration
from soketpy.process.draining import delay
from soketpy.process.memory import Upkeep, keep_collections_short
from soketpy.process.registries import described
from soketpy.process.server import Server, cancel
from soketpy.process.signals import Signals

log = logging.getLogger("soketpy")

UPKEEP_INTERVAL = 1.0
"""Seconds between two checks whether memory can be returned to the system."""

ALONE = "SIGUSR2 renews workers, and this server has only one process: restart it instead"


def event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop's event loop, or None if uvloop is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def serve(
    settings: Settings, reload: Callable[[], Settings], on_ready: Callable[[int | None], None] | None = None
) -> None:
    """Run a server until SIGTERM or SIGINT.

    SIGHUP applies the apps of ``reload()``; if ``reload`` raises, the old apps stay. SIGUSR2, which renews workers,
    only writes a log line: without a handler it would end the process. Raise what ``Server.start`` raises.
    """
    signals = Signals()
    async with AsyncExitStack() as stack:
        server = await signals.unless_stopped(stack.enter_async_context(Server(settings, workers=1)))
        if server is not None:
            log.info(
                "Listening on %(address)s with %(serving)s",
                {"event": "listening", "address": server.address, "serving": described(settings)},
            )
            configuration = Configuration(settings, reload, server.reload, server.reloads)
            stack.push_async_callback(configuration.stop)
            signals.obey(reload=configuration.reload, renew=partial(log.warning, ALONE, {"event": "no_workers"}))
            keep_collections_short()
            watching = asyncio.create_task(watch_memory(server))
            stack.push_async_callback(cancel, watching)
            if on_ready is not None:
                on_ready(server.port)
            await signals.stopped.wait()
            server.announce_stop()
            await delay(settings.timeouts.drain, signals.hurried)
    log.info("Stopped", {"event": "stopped"})


async def watch_memory(server: Server) -> None:
    """Keep garbage collections short and return free memory to the system, until the task is cancelled."""
    upkeep = Upkeep()
    while True:
        await asyncio.sleep(UPKEEP_INTERVAL)
        try:
            upkeep.check(server.connections)
        except Exception as fault:
            contain(log, fault, "The check of the memory failed")

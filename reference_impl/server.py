"""One process of the service: from settings to a listening socket, and back when it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Awaitable

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from reference_impl.addresses import PortInUseError, resolve, url
from reference_impl.api.application import Application
from reference_impl.api.routes import router
from reference_impl.embedding import Embedder
from reference_impl.keys import Keys
from reference_impl.service import Service
from reference_impl.settings import Settings
from reference_impl.storage.migrations import migrate
from reference_impl.watching import watch

_LOG = structlog.get_logger()
DRAIN_SECONDS = 10.0
# After that, to store what is queued, write pending counts and close the pool.
_STOP_SECONDS = 7.0
# Between the signal and the end of listening: what is on its way arrives, and answers ask to close the connection.
_LEAVING_SECONDS = 0.1


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        MigrationError: if the database cannot hold the schema.
        OSError: if it cannot be reached.
        asyncpg.PostgresError: if it refuses.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Loading the model takes about as long as everything else together.
    embedder, _ = await asyncio.gather(
        asyncio.to_thread(Embedder, settings.dimension), migrate(settings.database, settings.dimension)
    )
    keys = Keys.of_environment()
    service = Service(settings, embedder)
    watch(service)
    await service.start()
    application = Application(
        router(service, bool(keys)), service.metrics, keys, settings.log_level in {"debug", "info"}
    )
    server = Server(
        application,
        address=resolve(settings.host),
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4_096,
        log_enabled=False,
    )
    # What has been loaded stays: a full collection need not walk it again and again.
    gc.collect()
    gc.freeze()
    serving = asyncio.create_task(server.serve())
    try:
        await _listening(settings)
        print(f"ready {url(settings.host, settings.port)} pid {os.getpid()}", flush=True)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        deadline = time.monotonic() + DRAIN_SECONDS
        await _drain(application, server, serving, deadline)
        await _within(service.stop(), deadline + _STOP_SECONDS - time.monotonic())


async def _drain(application: Application, server: Server, serving: asyncio.Task[None], deadline: float) -> None:
    """Takes no more connections, and answers what was asked on those that there are, until the deadline.

    Granian closes idle connections. A request that meets a closing one is lost, as with every HTTP server; its
    client sees the connection closed without an answer.
    """
    application.leave()
    await asyncio.sleep(_LEAVING_SECONDS)
    server.stop()  # type: ignore[no-untyped-call]
    await _within(serving, deadline - time.monotonic())
    await application.drain(deadline - time.monotonic())


async def _within(work: Awaitable[None], seconds: float) -> None:
    """Waits for work to end, but not longer than this, nor for its failure to be told elsewhere."""
    try:
        await asyncio.wait_for(work, seconds)
    except Exception as error:
        _LOG.warning("stopping_incomplete", error=str(error) or type(error).__name__)


async def _listening(settings: Settings) -> None:
    address = resolve({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host))
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection(address, settings.port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise PortInUseError(f"nothing answers on {address}:{settings.port} five seconds after the start")

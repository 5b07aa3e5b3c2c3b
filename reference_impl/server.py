"""One process of the service: from settings to a listening socket, and back when it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from reference_impl.api.application import Application
from reference_impl.api.routes import router
from reference_impl.embedding import Embedder
from reference_impl.service import Service
from reference_impl.settings import Settings
from reference_impl.storage.migrations import migrate

DRAIN_SECONDS = 10.0


class PortInUseError(Exception):
    """Another process listens there, or this address is not ours."""


def require_port(host: str, port: int) -> None:
    """Checks that host and port can be listened on; Granian itself would share a port in silence.

    Raises:
        PortInUseError: if not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise PortInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from None


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
    service = Service(settings, embedder)
    await service.start()
    application = Application(router(service), service.metrics, settings.log_level in {"debug", "info"})
    server = Server(
        application,
        address=settings.host,
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
        print(f"ready {url(settings)} pid {os.getpid()}", flush=True)
        await stop.wait()
    finally:
        await application.drain(DRAIN_SECONDS)
        server.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(Exception):
            await serving
        await service.stop()


def url(settings: Settings) -> str:
    """Where the service is reached."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


async def _listening(settings: Settings) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection(host, settings.port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise PortInUseError(f"nothing answers on {host}:{settings.port} five seconds after the start")

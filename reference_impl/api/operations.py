"""Handlers for those who run the service: health, metrics, the pool, the floor, the API's description."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import msgspec

from reference_impl import __version__
from reference_impl.api.exchange import Request, Response
from reference_impl.metrics import CONTENT_TYPE
from reference_impl.models import Health
from reference_impl.service import Service

_NOOP: Final = b'{"ok":true}'
_PATIENCE: Final = 1.0


class OperationHandlers:
    """Operations that touch no memory.

    Args:
        service: whose state they tell.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def noop(self, _request: Request) -> Response:
        """Does nothing: what is measured is the way through the server."""
        return Response(_NOOP)

    async def health(self, _request: Request) -> Response:
        """Tells whether the service can serve; 503 while the database is away."""
        service = self._service
        database = await service.database_state()
        health = Health(
            status="ok" if database.connected else "unavailable",
            version=__version__,
            uptime_seconds=round(service.uptime(), 3),
            database=database,
            pool=service.database.state(),
            tiers=await service.tier_counts() if database.connected else {},
        )
        body = msgspec.json.encode(health)
        return Response(body) if database.connected else Response(body, 503, headers=(("retry-after", "1"),))

    async def metrics(self, _request: Request) -> Response:
        """Everything counted, for Prometheus."""
        with contextlib.suppress(TimeoutError):
            # A scrape must not hang where the database does.
            await asyncio.wait_for(self._service.tier_counts(), _PATIENCE)
        return Response(await self._service.siblings.exposition(), content=("content-type", CONTENT_TYPE))

    async def pool(self, _request: Request) -> Response:
        """The connection pool now."""
        return Response(msgspec.json.encode(self._service.database.state()))

"""Handlers on tiers: their analysis, and a review on demand."""

from __future__ import annotations

import msgspec

from reference_impl.api.exchange import Request, Response
from reference_impl.tiers import TierManager


class TierHandlers:
    """Operations under /api/v1/tiers.

    Args:
        tiers: what they work on.
    """

    def __init__(self, tiers: TierManager) -> None:
        self._tiers = tiers

    async def report(self, _request: Request) -> Response:
        """The analysis of all tiers."""
        return Response(msgspec.json.encode(await self._tiers.report()))

    async def migrate(self, _request: Request) -> Response:
        """Reviews all tiers once, and tells what that did."""
        return Response(msgspec.json.encode(await self._tiers.run_cycle()))

"""Handlers on memories: create, create many, read."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from reference_impl.api.exchange import Request, Response
from reference_impl.api.validation import Creates, decode, memory_id
from reference_impl.errors import ApiError
from reference_impl.models import CreateBatch
from reference_impl.service import Service
from reference_impl.storage.records import NewMemory
from reference_impl.writer import Created, Outcome

# Content of 1,048,576 characters takes twelve bytes a character where each is an escaped pair.
BODY_MAX: Final = 16 << 20
BATCH_BODY_MAX: Final = 64 << 20
# Checking this many items of a batch keeps other requests waiting for about a millisecond.
_SLICE: Final = 50

_HIT: Final = ", cache;desc=hit"
_MISS: Final = ", cache;desc=miss"


class MemoryHandlers:
    """Operations under /api/v1/memories.

    Args:
        service: what they work on.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._creates = Creates(service.settings.dimension)
        self._batch = msgspec.json.Decoder(CreateBatch)

    async def create(self, request: Request) -> Response:
        """Stores one memory."""
        new = self._creates.record(await request.body(BODY_MAX))
        _, body = await self._service.create(new)
        return Response(body)

    async def create_batch(self, request: Request) -> Response:
        """Stores many, each with an outcome of its own."""
        minimal = request.parameter("return", ("minimal", "full")) == "minimal"
        items = decode(await request.body(BATCH_BODY_MAX), self._batch).memories
        checked: list[NewMemory | ApiError] = []
        for index, item in enumerate(items):
            try:
                checked.append(self._creates.record(item, f"memories[{index}]"))
            except ApiError as error:
                checked.append(error)
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        stored = iter(await self._service.create_many([item for item in checked if isinstance(item, NewMemory)]))
        outcomes = [next(stored) if isinstance(item, NewMemory) else item for item in checked]
        return Response(b'{"results":[' + b",".join(self._outcome(item, minimal) for item in outcomes) + b"]}")

    async def read(self, request: Request) -> Response:
        """Reads one memory, which counts as an access."""
        key = memory_id(request.path_values["id"])
        include = request.parameter("include", ("embedding",))
        body, cached = await self._service.read(key)
        if include:
            body += b',"embedding":' + msgspec.json.encode(await self._service.memories.embedding(key))
        return Response(body + b"}", timing=_HIT if cached else _MISS)

    def _outcome(self, outcome: Outcome, minimal: bool) -> bytes:
        if isinstance(outcome, Created):
            if not minimal:
                return b'{"status":200,"memory":' + self._service.whole(outcome) + b"}"
            flag = b"true" if outcome.deduplicated else b"false"
            return b'{"status":200,"id":"%s","deduplicated":%s}' % (str(outcome.memory.id).encode(), flag)
        return msgspec.json.encode({"status": outcome.status, "error": outcome.fields()})

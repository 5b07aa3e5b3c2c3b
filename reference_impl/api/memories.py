"""Handlers on memories: create, create many, read, replace, change, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from reference_impl.api.changes import Changes
from reference_impl.api.exchange import Request, Response
from reference_impl.api.validation import Creates, decode, memory_id
from reference_impl.errors import ApiError, duplicate_content
from reference_impl.models import CreateBatch
from reference_impl.service import Service
from reference_impl.storage.records import NewMemory
from reference_impl.updates import Change
from reference_impl.writer import Created, Outcome

# Content of 1,048,576 characters takes twelve bytes a character where each is an escaped pair.
BODY_MAX: Final = 16 << 20
BATCH_BODY_MAX: Final = 64 << 20
# Checking this many items of a batch keeps other requests waiting for about a millisecond.
_SLICE: Final = 50

RETURN: Final = ("full", "minimal")
ON_DUPLICATE: Final = ("return", "reject")
INCLUDE: Final = ("embedding",)
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
        self._changes = Changes(service.settings.dimension)
        self._batch = msgspec.json.Decoder(CreateBatch)

    async def create(self, request: Request) -> Response:
        """Stores one memory."""
        reject = request.parameter("on_duplicate", ON_DUPLICATE) == "reject"
        new = self._creates.record(await request.body(BODY_MAX))
        created, body = await self._service.create(new)
        if reject and created.deduplicated:
            raise duplicate_content(created.memory.id)
        return Response(body)

    async def create_batch(self, request: Request) -> Response:
        """Stores many, each with an outcome of its own."""
        minimal = request.parameter("return", RETURN) == "minimal"
        reject = request.parameter("on_duplicate", ON_DUPLICATE) == "reject"
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
        if reject:
            outcomes = [
                duplicate_content(outcome.memory.id)
                if isinstance(outcome, Created) and outcome.deduplicated
                else outcome
                for outcome in outcomes
            ]
        return Response(b'{"results":[' + b",".join(self._outcome(item, minimal) for item in outcomes) + b"]}")

    async def read(self, request: Request) -> Response:
        """Reads one memory, which counts as an access."""
        text = request.path_values["id"]
        include = request.parameter("include", INCLUDE)
        kept = self._service.kept(text)
        if kept is not None and not include:
            return Response(kept + b"}", timing=_HIT)
        key = memory_id(text)
        if kept is None and text != str(key):
            kept = self._service.kept(str(key))
        body = await self._service.read(key) if kept is None else kept
        if include:
            found = await self._service.embedding(key)
            body += b',"embedding":' + msgspec.json.encode(found)
        return Response(body + b"}", timing=_MISS if kept is None else _HIT)

    async def replace(self, request: Request) -> Response:
        """Replaces one memory; what is not given gets its default."""
        return await self._update(request, self._changes.replacement)

    async def patch(self, request: Request) -> Response:
        """Changes of one memory what is given."""
        return await self._update(request, self._changes.patch)

    async def delete(self, request: Request) -> Response:
        """Deletes one memory."""
        await self._service.delete(memory_id(request.path_values["id"]))
        return Response(b"", 204, content=None)

    async def _update(self, request: Request, checked: Callable[[bytes], Change]) -> Response:
        key = memory_id(request.path_values["id"])
        return Response(await self._service.update(key, checked(await request.body(BODY_MAX))))

    def _outcome(self, outcome: Outcome, minimal: bool) -> bytes:
        if isinstance(outcome, Created):
            if not minimal:
                return b'{"status":200,"memory":' + self._service.whole(outcome) + b"}"
            flag = b"true" if outcome.deduplicated else b"false"
            return b'{"status":200,"id":"%s","deduplicated":%s}' % (str(outcome.memory.id).encode(), flag)
        return msgspec.json.encode({"status": outcome.status, "error": outcome.fields()})

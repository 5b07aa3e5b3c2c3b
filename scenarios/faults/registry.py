"""The faults, each with what it moves and what it leaves alone."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from reference_impl.api.exchange import Request, Response
from reference_impl.api.memories import INCLUDE
from reference_impl.api.queries import Search
from reference_impl.api.router import Handler
from reference_impl.api.search import SearchHandlers
from reference_impl.api.validation import memory_id
from reference_impl.errors import internal
from reference_impl.search_models import Found, Hit, Query
from reference_impl.service import Service
from reference_impl.storage import migrations
from reference_impl.storage.database import from_halfvec
from reference_impl.storage.records import NewMemory
from reference_impl.writer import Created
from scenarios.faults.dial import Value
from scenarios.faults.ground import Ground, wrap

_FACTOR: Final = Value(1.2, 1, 100)
_STALL_EVERY: Final = 50
_STALL_SECONDS: Final = 0.05
_EMBEDDINGS: Final = "SELECT id, embedding FROM memory_vectors WHERE id = ANY($1::uuid[])"

Plant = Callable[[Ground], None]


class Fault(NamedTuple):
    """One fault: its name, what is planted, what value it takes, and what it does."""

    name: str
    plant: Plant
    value: Value | None
    text: str

    @property
    def usage(self) -> str:
        """Its name, with its default where it takes a value."""
        return self.name if self.value is None else f"{self.name}={self.value.default:g}"


FAULTS: Final[dict[str, Fault]] = {}


def fault(value: Value | None = None) -> Callable[[Plant], Plant]:
    """Lists a function that plants a fault, under its own name and with its own words."""

    def listed(plant: Plant) -> Plant:
        FAULTS[plant.__name__] = Fault(plant.__name__, plant, value, inspect.getdoc(plant) or "")
        return plant

    return listed


@fault(_FACTOR)
def slow_search(ground: Ground) -> None:
    """Each search takes this many times as long: after its work it sleeps for the rest.

    Moves all percentiles of search: the server's by the factor, a client's by a little less.
    Leaves get and create. The rate of searches at saturation hardly falls: who sleeps takes nobody's processor.
    """
    _slow(ground, "search", "slow_search")


@fault(_FACTOR)
def slow_get(ground: Ground) -> None:
    """The same for gets. One from the cache takes tens of microseconds: a fifth more is below a gate's floor.

    Moves all percentiles of get; with twice the default and more, also as a gate sees them. Leaves search and create.
    """
    _slow(ground, "get", "slow_get")


@fault(_FACTOR)
def slow_create(ground: Ground) -> None:
    """The same for creates.

    Moves all percentiles of create. Leaves get and search; the rate of creates falls by less than the factor, as
    those who do not sleep have the commits for themselves.
    """
    _slow(ground, "create", "slow_create")


def _slow(ground: Ground, operation: str, name: str) -> None:
    def slowed(handler: Handler, _service: Service) -> Handler:
        async def handle(request: Request) -> Response:
            started = time.perf_counter()
            response = await handler(request)
            longer = ground.dial[name] - 1
            if longer > 0:
                await ground.pauses.sleep(longer * (time.perf_counter() - started))
            return response

        return handle

    ground.handler(operation, slowed)


@fault()
def dropped_index(ground: Ground) -> None:
    """The primary key of memory_vectors is dropped, by which each search finds its candidates' embeddings.

    Moves search, all percentiles and the rate at saturation, the more the more memories there are: every search reads
    the whole table. Leaves get, which needs no vectors. Creates are spared an index to write; beside searches they
    share the processor with what those read.
    """
    ground.migrated("ALTER TABLE memory_vectors DROP CONSTRAINT IF EXISTS memory_vectors_pkey")


@fault()
def no_cache(ground: Ground) -> None:
    """Memories are not cached: each get asks PostgreSQL.

    Moves get, all percentiles, and CPU time. Leaves search and create.
    """
    ground.settings = msgspec.structs.replace(ground.settings, cache_size=0)


@fault()
def no_search_cache(ground: Ground) -> None:
    """Answers to searches are not cached.

    Moves searches that are repeated. Leaves those that are not, get and create.
    """
    ground.settings = msgspec.structs.replace(ground.settings, search_cache_size=0)


@fault()
def query_per_row(ground: Ground) -> None:
    """A search reads each memory that it has found once more, one statement after the other ("N+1").

    Moves search, all percentiles and the rate. Leaves get and create, but for their share of the processor.
    """

    def change(service: Service) -> None:
        def reading(find: Callable[[Query], Awaitable[Found]]) -> Callable[[Query], object]:
            async def found(query: Query) -> Found:
                answer = await find(query)
                for hit in answer.hits:
                    await service.memories.read(hit.memory.id)
                return answer

            return found

        wrap(service.searcher, "find", reading)

    ground.parts(change)


@fault()
def locked_create(ground: Ground) -> None:
    """A lock is held over each create's commit: no two share one.

    Moves the rate of creates at saturation, and with it their latency; at lower rates the tail of create first, and
    its median where creates come faster than commits end. Leaves get and search.
    """

    def change(service: Service) -> None:
        lock = asyncio.Lock()

        def locking(create: Callable[[NewMemory], Awaitable[Created]]) -> Callable[[NewMemory], object]:
            async def created(new: NewMemory) -> Created:
                async with lock:
                    return await create(new)

            return created

        wrap(service.writer, "create", locking)

    ground.parts(change)


class _Carrying(Hit):
    """A hit that brings its embedding, as JSON."""

    embedding: bytes


@fault()
def embedding_in_answer(ground: Ground) -> None:
    """Gets and searches answer with embeddings, which nobody has asked for.

    Moves get (PostgreSQL is asked for what the cache lacks) and search (kilobytes of JSON for each memory), all
    percentiles, the rate of searches and CPU time. Leaves create, but for its share of the processor.
    """

    def gets(handler: Handler, service: Service) -> Handler:
        async def handle(request: Request) -> Response:
            response = await handler(request)
            if not request.parameter("include", INCLUDE):
                embedding = await service.embedding(memory_id(request.path_values["id"]))
                response.body = b'%s,"embedding":%s}' % (response.body[:-1], msgspec.json.encode(embedding))
            return response

        return handle

    def searches(service: Service) -> None:
        def bringing(find: Callable[[Query], Awaitable[Found]]) -> Callable[[Query], object]:
            async def found(query: Query) -> Found:
                answer = await find(query)
                rows = await service.database.fetch(_EMBEDDINGS, [hit.memory.id for hit in answer.hits])
                vectors = {key: from_halfvec(data) for key, data in rows}
                hits: list[Hit] = []
                for hit in answer.hits:
                    carrying = _Carrying(*hit)
                    carrying.embedding = msgspec.json.encode(vectors.get(hit.memory.id))
                    hits.append(carrying)
                return answer._replace(hits=hits)

            return found

        def telling(result: Callable[[SearchHandlers, Search, Hit], bytes]) -> Callable[..., bytes]:
            def told(self: SearchHandlers, search: Search, hit: _Carrying) -> bytes:
                return b'%s,"embedding":%s}' % (result(self, search, hit)[:-1], hit.embedding)

            return told

        wrap(service.searcher, "find", bringing)
        wrap(SearchHandlers, "_result", telling)

    ground.handler("get", gets)
    ground.parts(searches)


@fault()
def stalled_get(ground: Ground) -> None:
    """Every fiftieth get waits for 50 ms; nothing else waits with it.

    Moves the P99 of get. Leaves its P50 and P95, search and create: who looks at medians alone finds nothing.
    """

    def stalled(handler: Handler, _service: Service) -> Handler:
        count = 0

        async def handle(request: Request) -> Response:
            nonlocal count
            count += 1
            if count % _STALL_EVERY == 0:
                await asyncio.sleep(_STALL_SECONDS)
            return await handler(request)

        return handle

    ground.handler("get", stalled)


@fault(Value(0.05, 0, 1))
def errors(ground: Ground) -> None:
    """This share of searches, evenly spread, answers 500 once the work is done.

    A gate must call it INVALID, or fail it by its errors: the latency of those that succeed does not move.
    """

    def failing(handler: Handler, _service: Service) -> Handler:
        owed = 0.0

        async def handle(request: Request) -> Response:
            nonlocal owed
            response = await handler(request)
            owed += ground.dial["errors"]
            if owed >= 1 - 1e-9:  # what twenty times 0.05 falls short of 1 by
                owed -= 1
                raise internal()
            return response

        return handle

    ground.handler("search", failing)


@fault()
def other_schema(ground: Ground) -> None:
    """The database has one migration more, which changes nothing: as if a newer version had been there.

    Moves no figure. The schemas differ, and a gate must say so.
    """

    def longer(known: Callable[[], list[tuple[int, str, str]]]) -> Callable[[], list[tuple[int, str, str]]]:
        def listed() -> list[tuple[int, str, str]]:
            found = known()
            return [*found, (found[-1][0] + 1, "planted", "SELECT 1")]

        return listed

    wrap(migrations, "migrations", longer)

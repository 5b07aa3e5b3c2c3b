"""What the benchmarks share: the embedder, an event loop, memories, and a filled database."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Iterator
from typing import Final

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from reference_impl.embedding import Embedder
from reference_impl.storage.records import NewMemory
from scenarios.micro import material
from scenarios.micro.rounds import Rounds
from scenarios.micro.store import Store, temporary

VARIABLE: Final = "MEMBENCH_DATABASE_URL"
TEMPLATE: Final = "MEMBENCH_MICRO_TEMPLATE"
"""The environment variable with the URL of a database on that server to clone instead of filling one each time. The
first to find it empty fills it."""
ROWS: Final = 2_000
_FRESH: Final = 1_200
_SEARCHES: Final = 512


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The service's embedder, at the guide's dimension."""
    return Embedder(material.DIMENSION)


@pytest.fixture(scope="session")
def records(embedder: Embedder) -> list[NewMemory]:
    """A few memories, for what needs no database."""
    return material.records(embedder, 256)


@pytest.fixture(scope="session")
def searches(embedder: Embedder) -> list[material.Search]:
    """Searches, all different."""
    return material.searches(embedder, _SEARCHES)


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The kind of loop that the service runs on."""
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def timed(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop) -> Rounds:
    """Times functions."""
    return Rounds(benchmark, loop)


@pytest.fixture(scope="session")
def server() -> str:
    """URL of the PostgreSQL server to use."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.skip(f"no PostgreSQL server: set {VARIABLE} to the URL of one whose role may CREATE DATABASE")
    return url


@pytest.fixture(scope="session")
def fresh(server: str, embedder: Embedder) -> Iterator[NewMemory]:
    """Memories that are not in the database yet; each benchmark takes as many as it creates."""
    return iter(material.records(embedder, _FRESH, start=ROWS))


@pytest.fixture(scope="session")
def store(server: str, embedder: Embedder, loop: asyncio.AbstractEventLoop) -> Iterator[Store]:
    """The filled database, for the session."""
    # Who ends this by SIGTERM wants it over, not the database left behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows = functools.partial(material.records, embedder, ROWS)
        with temporary(server, rows, loop, os.environ.get(TEMPLATE)) as store:
            yield store
    finally:
        signal.signal(signal.SIGTERM, before)

"""The database that benchmarks work on, and clones of it."""

import asyncio
import functools

import pytest

from harness.stack.databases import Databases
from harness.stack.ledger import Ledger
from reference_impl.embedding import Embedder
from scenarios.micro import material
from scenarios.micro.store import temporary


def test_clones_hold_what_the_first_has_filled_the_template_with(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    embedder = Embedder(material.DIMENSION)
    rows = functools.partial(material.records, embedder, 12)
    loop = asyncio.new_event_loop()
    with Ledger(tmp_path_factory.mktemp("ledger")) as ledger:
        databases = Databases(postgres_url, ledger)
        template = databases.make()
        with temporary(postgres_url, rows, loop, template) as store:
            first = store.ids()
            loop.run_until_complete(store.memories.insert(material.records(embedder, 2, start=12)))
            assert len(store.ids()) == 14
        with temporary(postgres_url, list, loop, template) as store:
            assert store.ids() == first
            row = loop.run_until_complete(store.row("SELECT count(*) AS rows FROM guide"))
        databases.drop(template)
    loop.close()
    assert row["rows"] == len(first) == 12

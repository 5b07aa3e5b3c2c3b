"""The settings for a machine: the guide's proportions, and a server that starts with them."""

import asyncio

import asyncpg
import pytest

from harness.stack import embedded
from harness.stack.ledger import Ledger
from harness.stack.postgres import inspect
from harness.stack.tuning import Machine, settings

GIB = 2**30


def chosen(memory: int, cores: int, pool: int = 50) -> dict[str, str]:
    return {setting.name: setting.value for setting in settings(Machine(memory, cores), pool)}


def mib(text: str) -> int:
    return int(text.removesuffix("MB"))


def test_the_guides_proportions_on_its_own_machine() -> None:
    found = chosen(16 * GIB, 8)
    assert found["shared_buffers"] == "4096MB"
    assert found["effective_cache_size"] == "12288MB"
    assert found["maintenance_work_mem"] == "1024MB"
    assert found["max_parallel_workers_per_gather"] == "4"
    assert found["max_parallel_workers"] == "8"


@pytest.mark.parametrize("memory", [1 * GIB, 4 * GIB, 24 * GIB, 256 * GIB])
@pytest.mark.parametrize("cores", [1, 2, 8, 64])
@pytest.mark.parametrize("pool", [10, 50, 500])
def test_nothing_adds_up_to_more_than_the_machine_has(memory: int, cores: int, pool: int) -> None:
    found = chosen(memory, cores, pool)
    total = memory // 2**20
    assert mib(found["shared_buffers"]) <= total / 4 + 1
    assert mib(found["work_mem"]) * int(found["max_connections"]) <= max(total / 3, 4 * int(found["max_connections"]))
    assert mib(found["autovacuum_work_mem"]) * int(found["autovacuum_max_workers"]) <= total / 2
    assert int(found["max_connections"]) > pool
    assert int(found["max_parallel_workers_per_gather"]) <= max(cores // 2, 1)


def test_every_setting_has_a_reason() -> None:
    every = settings(Machine(16 * GIB, 4), 50)
    assert all(setting.reason for setting in every)
    assert len({setting.name for setting in every}) == len(every)


def test_a_server_starts_with_them_and_has_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    wanted = settings(Machine(2 * GIB, 2), 10)
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    postgres = embedded.start(wanted, ledger, lambda text: None)

    async def read() -> dict[str, str]:
        connection = await asyncpg.connect(postgres.url)
        try:
            return {s.name: await connection.fetchval(f"SHOW {s.name}") for s in wanted}
        finally:
            await connection.close()

    try:
        asyncio.run(inspect(postgres))
        shown = asyncio.run(read())
    finally:
        postgres.stop()
        ledger.close()
    assert postgres.version.startswith("18")
    assert shown["shared_buffers"] == "512MB"
    assert shown["max_connections"] == "30"
    assert shown["shared_preload_libraries"] == "pg_stat_statements"
    assert shown["autovacuum_naptime"] == "10s"
    assert not postgres.url.split("/")[-2].endswith(":5432")

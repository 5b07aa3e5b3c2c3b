"""A real pool that is held busy, and what is said about it."""

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from reference_impl.metrics import Metrics
from reference_impl.pressure import CALM_LOOKS, PoolPressure
from reference_impl.settings import Settings
from reference_impl.storage.database import Database
from reference_impl.storage.migrations import migrate


@contextlib.asynccontextmanager
async def watched_pool(url):
    """A pool of ten, the one who watches it, a clock that stands still, and what was counted."""
    await migrate(url, 256)
    pool = Database(Settings(database=url, dimension=256, pool_min=1, pool_max=10, acquire_timeout=30))
    await pool.open()
    counted, clock = [], [0.0]
    watch = PoolPressure(pool.state, lambda *what: counted.append(what), lambda: clock[0])
    try:
        yield pool, watch, clock, counted
    finally:
        await pool.close()


def summary(logs):
    return [(log["log_level"], log["event"], log["condition"]) for log in logs]


def test_each_level_is_told_once_as_it_is_entered_and_left(database):
    async def check():
        async with watched_pool(database) as (pool, watch, clock, counted), contextlib.AsyncExitStack() as held:
            with capture_logs() as logs:
                for _ in range(8):
                    await held.enter_async_context(pool.connection())
                watch.look()
                assert logs == []  # 80 % is not more than 80 %
                clock[0] = 10.0
                await held.enter_async_context(pool.connection())
                watch.look()
                watch.look()
                await held.enter_async_context(pool.connection())
                watch.look()
                watch.look()
                assert summary(logs) == [
                    ("warning", "pool_pressure", "utilization"),
                    ("error", "pool_pressure", "utilization"),
                ]
                assert (logs[1]["utilization"], logs[1]["busy"], logs[1]["max"]) == (1.0, 10, 10)
                await held.aclose()
                clock[0] = 25.0
                for _ in range(CALM_LOOKS - 1):
                    watch.look()
                assert len(logs) == 2
                watch.look()
                watch.look()
                assert summary(logs)[2:] == [("warning", "pool_pressure_over", "utilization")]
                assert (logs[2]["lasted_seconds"], logs[2]["busy"]) == (15.0, 0)
            assert counted == [("utilization", "warning"), ("utilization", "error")]

    asyncio.run(check())


def test_many_who_wait_are_told(database):
    async def check():
        async with watched_pool(database) as (pool, watch, _, counted):
            async with contextlib.AsyncExitStack() as held:
                for _ in range(10):
                    await held.enter_async_context(pool.connection())
                waiting = [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(10)]
                await asyncio.sleep(0)
                watch.look()
                assert counted == [("utilization", "error")]
                waiting.append(asyncio.create_task(pool.fetch("SELECT 1")))
                await asyncio.sleep(0)
                with capture_logs() as logs:
                    watch.look()
                assert summary(logs) == [("warning", "pool_pressure", "waiting")]
                assert logs[0]["waiting"] == 11
            await asyncio.gather(*waiting)
            with capture_logs() as logs:
                for _ in range(CALM_LOOKS):
                    watch.look()
            assert sorted(summary(logs)) == [
                ("warning", "pool_pressure_over", "utilization"),
                ("warning", "pool_pressure_over", "waiting"),
            ]

    asyncio.run(check())


def test_a_pool_at_the_edge_does_not_fill_the_log(database):
    async def check():
        async with watched_pool(database) as (pool, watch, _, counted), contextlib.AsyncExitStack() as held:
            for _ in range(8):
                await held.enter_async_context(pool.connection())
            with capture_logs() as logs:
                for _ in range(10):
                    async with pool.connection():
                        watch.look()
                    watch.look()
            assert len(logs) == len(counted) == 1

    asyncio.run(check())


def test_from_critical_to_high_is_no_second_warning(database):
    async def check():
        async with watched_pool(database) as (pool, watch, _, counted), contextlib.AsyncExitStack() as held:
            for _ in range(9):
                await held.enter_async_context(pool.connection())
            with capture_logs() as logs:
                async with pool.connection():
                    watch.look()
                for _ in range(CALM_LOOKS):
                    watch.look()
            assert [log["log_level"] for log in logs] == ["error", "warning"]
            assert [log["event"] for log in logs] == ["pool_pressure"] * 2
            assert counted == [("utilization", "error")]

    asyncio.run(check())


def test_it_looks_by_itself_and_counts_in_the_metrics(database):
    async def check():
        metrics = Metrics()
        async with watched_pool(database) as (pool, _, _, _), contextlib.AsyncExitStack() as held:
            watch = PoolPressure(pool.state, metrics.pool_warned)
            watch.start()
            for _ in range(10):
                await held.enter_async_context(pool.connection())
            expected = b'memory_pool_warnings_total{condition="utilization",level="error"} 1.0'
            with capture_logs():
                async with asyncio.timeout(10):
                    while expected not in metrics.exposition():
                        await asyncio.sleep(0.05)
            await watch.stop()

    asyncio.run(check())


@pytest.mark.parametrize("sample", ["utilization,warning", "utilization,error", "waiting,warning"])
def test_every_warning_there_is_counts_from_zero(sample):
    condition, level = sample.split(",")
    expected = f'memory_pool_warnings_total{{condition="{condition}",level="{level}"}} 0.0'
    assert expected.encode() in Metrics().exposition()

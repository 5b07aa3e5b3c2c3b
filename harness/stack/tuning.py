"""PostgreSQL settings from the machine's memory and cores and the pool's size.

The guide's rules for a machine of 16 GB, made proportional and corrected where they cannot run or do harm; each
setting says why it is what it is, and what the guide says where that differs.
"""

from dataclasses import dataclass
from typing import Final

from harness.core.record import Setting

_MIB = 1024 * 1024
NO_AUTOVACUUM: Final = Setting(
    "autovacuum",
    "off",
    "two services take turns: what one's load leaves to clean up and to count would fall into the other's turn",
    guide="on",
)


@dataclass(frozen=True)
class Machine:
    """What the server may use.

    Attributes:
        memory: bytes of RAM.
        cores: processors.
    """

    memory: int
    cores: int


def settings(machine: Machine, pool_size: int) -> list[Setting]:
    """The settings for one service with one connection pool.

    Args:
        machine: the server's host; shared with service and generator where all run on one.
        pool_size: the most connections that the service opens.

    Returns:
        settings in the order of the guide's sections. Those left at PostgreSQL's own default are not listed.
    """
    return [*_memory(machine, pool_size), *_wal(), *_planner(machine), *_autovacuum(machine), *_watching()]


def _memory(machine: Machine, pool_size: int) -> list[Setting]:
    mib = machine.memory // _MIB
    connections = pool_size + 20
    work_mem = min(max(mib // (connections * 3), 4), 64)
    # A quarter of what the guide's 1 GB on 16 GB is to its machine goes to every worker that may run at once.
    maintenance = min(max(mib // 16, 64), 2048)
    return [
        Setting("shared_buffers", f"{min(max(mib // 4, 128), 16_384)}MB", "a quarter of memory"),
        Setting("effective_cache_size", f"{max(mib * 3 // 4, 256)}MB", "three quarters of memory"),
        Setting(
            "work_mem",
            f"{work_mem}MB",
            "memory / (3 x connections): it is used per sort node and connection at once, and is the unit of "
            "hnsw.scan_mem_multiplier",
            guide="64MB with 200 connections may ask for more than the machine has",
        ),
        Setting("maintenance_work_mem", f"{maintenance}MB", "1/16 of memory: an HNSW graph is built in it"),
        Setting(
            "autovacuum_work_mem",
            f"{max(maintenance // 4, 64)}MB",
            "bounds what all autovacuum workers take together",
            guide="not set: each of six workers may take maintenance_work_mem",
        ),
        Setting(
            "max_connections",
            str(connections),
            "the pool and 20 for people and monitoring: every possible connection costs snapshot time and memory",
            guide="200",
        ),
    ]


def _wal() -> list[Setting]:
    return [
        Setting("wal_buffers", "16MB", "room for a burst of group commits"),
        Setting("checkpoint_completion_target", "0.9", "spreads a checkpoint over its interval"),
        Setting(
            "max_wal_size",
            "8GB",
            "1,000 creates/s with vectors fill 2 GB in minutes, and forced checkpoints stall",
            guide="2GB",
        ),
        Setting("min_wal_size", "1GB", "recycled segments instead of new ones", guide="80MB"),
        Setting("wal_compression", "on", "full-page images of index pages shrink to a fraction", guide="not set"),
    ]


def _planner(machine: Machine) -> list[Setting]:
    per_gather = max(min(machine.cores // 2, 4), 1)
    return [
        Setting("random_page_cost", "1.1", "solid-state storage"),
        Setting(
            "max_parallel_workers_per_gather",
            str(per_gather),
            "half the cores, at most 4: a query of a busy service should not take all of them",
            guide="4",
        ),
        Setting("max_parallel_workers", str(max(machine.cores, 2)), "one per core", guide="8"),
        Setting(
            "max_parallel_maintenance_workers",
            str(max(machine.cores // 2, 1)),
            "index builds use half the cores",
            guide="not set",
        ),
        Setting("jit", "off", "compiling a millisecond query costs more than it saves", guide="not set"),
    ]


def _autovacuum(machine: Machine) -> list[Setting]:
    workers = max(min(machine.cores, 6), 2)
    return [
        Setting("autovacuum_max_workers", str(workers), "one per core, at most the guide's 6", guide="6"),
        Setting("autovacuum_naptime", "10s", "looks more often at tables that churn"),
        Setting("autovacuum_vacuum_scale_factor", "0.1", "a tenth of a table's rows"),
        Setting("autovacuum_analyze_scale_factor", "0.05", "keeps the planner's picture fresh"),
        Setting(
            "autovacuum_vacuum_insert_scale_factor",
            "0.1",
            "insert-only tables need their visibility map too",
            guide="not set",
        ),
        Setting(
            "autovacuum_vacuum_cost_limit",
            "1000",
            "five times the default, or more workers only share the same allowance",
            guide="not set",
        ),
    ]


def _watching() -> list[Setting]:
    return [
        Setting("shared_preload_libraries", "pg_stat_statements", "query statistics"),
        Setting("track_io_timing", "on", "tells waiting for storage from computing", guide="not set"),
    ]

"""Parts of records as runs would make them, from seeded stamps through the real recorder."""

import msgspec
import numpy as np

from harness.core.plan import plan_open
from harness.core.readings import (
    Event,
    GeneratorHealth,
    Relation,
    Sample,
    Series,
    Statement,
    Telemetry,
)
from harness.core.record import (
    DataSet,
    Provenance,
    RunRecord,
    ScenarioResult,
    Setting,
    System,
    TargetResult,
)
from harness.core.recorder import OperationRecorder
from harness.core.scenario import ClosedArrivals, OpenArrivals, Operation, Phases, Scenario
from harness.core.verdict import overall

INVALID_REASONS = [
    "the generator lagged: lag P99 38 ms, more than 10% of the figure",
    "12 requests were skipped, since more than 64 were in flight",
    "a worker's report is missing: 1 of 2",
    "the hypervisor took 9% of the CPU",
]
FLOOR_REASON = "the floor itself was late: lag P99 36 ms"

WORKING = Scenario(
    name="working_access",
    title="Working memory access",
    description="Independent agents read memories of the working tier by id; a few are far more popular.",
    arrivals=OpenArrivals(rate=150),
    operations=(Operation("get", "get", tier="Working"),),
    floor=True,
    phases=Phases(warmup=2, measure=12),
)
WARM = Scenario(
    name="warm_query",
    title="Warm storage query",
    description="Unique searches in the warm tier.",
    arrivals=OpenArrivals(rate=90),
    operations=(Operation("search", "search", tier="Warm"),),
    phases=Phases(warmup=2, measure=20),
)
MIXED = Scenario(
    name="mixed",
    title="Mixed load, 100 users",
    description="100 users who create, search and read, and think in between.",
    arrivals=ClosedArrivals(users=100),
    operations=(
        Operation("create", "create", weight=20),
        Operation("search", "search", weight=30),
        Operation("get", "get", weight=50),
    ),
    phases=Phases(warmup=3, measure=20),
)


class Server:
    """Log-normal service times with a floor under them, and an optional freeze.

    Args:
        base: median, microseconds.
        freeze: start and length in seconds from the start of the measure phase; who comes then waits.
        lag: median of the generator's own delay, microseconds.
    """

    def __init__(self, base, *, freeze=None, lag=40.0, errors=0.0, lost=0, skipped=0, kind="HTTP 503"):
        self.base, self.freeze, self.lag = base, freeze, lag
        self.errors, self.lost, self.skipped, self.kind = errors, lost, skipped, kind


def measured(scenario, servers, seed, *, seconds=None):
    """The logs of a scenario, each operation on its server; cut off after `seconds` when given."""
    rng = np.random.default_rng(seed)
    if isinstance(scenario.arrivals, ClosedArrivals):
        as_open = msgspec.structs.replace(scenario, arrivals=OpenArrivals(rate=88))
        plans = plan_open(as_open, seed)
    else:
        plans = plan_open(scenario, seed)
    plan = plans.measure
    start = round(scenario.phases.warmup * 1e9)
    end = start + round(scenario.phases.measure * 1e9)
    offered = [(due, index) for due, index in plans.warmup if due < start]
    offered += [(start + due, index) for due, index in plan]
    if seconds is not None:
        end = start + round(seconds * 1e9)
    recorders = [OperationRecorder(name, (start, end)) for name in plan.operations]
    left = [(servers[name].lost, servers[name].skipped) for name in plan.operations]
    for due, index in offered:
        if due >= end:
            break
        server, recorder = servers[plan.operations[index]], recorders[index]
        recorder.plan(due)
        lost, skipped = left[index]
        if recorder.in_measure(due) and skipped:
            left[index] = lost, skipped - 1
            recorder.skip(due, due)
            continue
        sent = due + round(server.lag * 1e3 * rng.lognormal(0, 0.6))
        recorder.send(due)
        if recorder.in_measure(due) and lost:
            left[index] = lost - 1, skipped
            continue
        work = server.base * rng.lognormal(0, 0.35)
        begin = sent
        if server.freeze:
            first = start + server.freeze[0] * 1e9
            last = first + server.freeze[1] * 1e9
            begin = max(sent, int(last)) if first <= sent < last else sent
        network = 180 * rng.lognormal(0, 0.3)
        ended = begin + round((work + network) * 1e3)
        error = server.kind if rng.random() < server.errors else None
        recorder.record(due, sent, ended, server=work, error=error)
    return [recorder.log() for recorder in recorders]


def result_of(scenario, servers, seed, **changes):
    seconds = changes.get("seconds")
    logs = measured(scenario, servers, seed, seconds=seconds)
    values = {
        "scenario": scenario,
        "started_at": "2026-05-04T09:00:12Z",
        "seconds": scenario.phases.measure,
        "status": "complete",
        "seed": seed,
        "tapes": {log.name: f"{seed:064x}" for log in logs},
        "operations": logs,
        "generator": GeneratorHealth(cpu=0.412, cpu_mean=0.303, max_in_flight=17, steal=0.004, max_rss_mib=142.6),
    }
    return ScenarioResult(**{**values, **changes})


def target(name, verdict, value, **changes):
    """A row of the guide's table."""
    common = {
        "working_memory_access": ("Working memory access", "ms", 1, 2, "lower", "working_access"),
        "warm_storage_query": ("Warm storage query", "ms", 100, 500, "lower", "warm_query"),
        "cold_storage_retrieval": ("Cold storage retrieval", "s", 20, 60, "lower", "cold_retrieval"),
        "memory_creation_rate": ("Memory creation rate", "1/s", 1000, 500, "higher", "creation"),
        "concurrent_users": ("Concurrent users", "users", 100, 50, "higher", "mixed"),
        "error_rate": ("Error rate", "%", 1, 5, "lower", "mixed"),
        "connection_pool": ("Database connection pool", "%", 70, 90, "lower", "mixed"),
        "compression_ratio": ("Memory compression ratio", ":1", 10, 5, "higher", "cold_retrieval"),
    }[name]
    title, unit, bound, critical, better, scenario = common
    clock = "response" if unit in ("ms", "s") else ""
    values = {"clock": clock, "method": f"How {title.lower()} is measured.", "verdict": verdict, "value": value}
    return TargetResult(
        id=name,
        title=title,
        unit=unit,
        target=bound,
        critical=critical,
        better=better,
        **{**values, "scenario": scenario, **changes},
    )


def provenance(*command):
    return Provenance(
        membench="0.1.0",
        command=list(command) or ["membench", "run", "--suite", "smoke"],
        git_revision="4f2a9c1d8e7b6a5f4e3d2c1b0a9f8e7d6c5b4a39",
        git_dirty=True,
        machine={"processor": "Example 2.6 GHz", "cores": 2, "memory_gib": 7.76, "kernel": "6.8.0"},
        python="3.11.9",
        packages={"locust": "2.44.0", "hdrhistogram": "0.10.8", "numpy": "2.1.0"},
    )


SYSTEM = System(
    url="http://127.0.0.1:8321",
    service="reference 0.1.0",
    postgres="embedded",
    postgres_version="18.1",
    pgvector_version="0.8.4",
    settings=[
        Setting("shared_buffers", "1971MB", "a quarter of memory", "2GB"),
        Setting("jit", "off", "planning short queries must not compile"),
    ],
)
DATA = DataSet(
    source="generator seed=7 memories=20000",
    fingerprint="9c" * 32,
    memories={"Working": 2_000, "Warm": 8_000, "Cold": 10_000},
    deduplicated=12,
    load_seconds=21.437,
)


def make(run_id, **changes):
    """A record; its verdict follows from its targets unless given."""
    values = {
        "id": run_id,
        "created_at": "2026-05-04T09:00:00Z",
        "provenance": provenance(),
        "seed": 7,
        "suite": "smoke",
        "system": SYSTEM,
        "dataset": DATA,
        **changes,
    }
    values.setdefault("verdict", overall(t.verdict for t in values.get("targets", [])))
    return RunRecord(**values)


def series(group, name, unit, make, seconds=20):
    return Series(group, name, unit, [Sample(float(s), max(float(make(s)), 0.0)) for s in range(-3, seconds)])


def telemetry():
    """As a phase of 20 s would fill it in which a checkpoint ran from 8 to 11."""
    wave = np.sin
    slow = range(8, 11)
    return Telemetry(
        series=[
            *(series("host", f"core {n}", "%", lambda s, n=n: 45 + 20 * n + 9 * wave(s + n)) for n in range(2)),
            series("host", "steal", "%", lambda s: 0.4 + 6 * (s in slow)),
            series("host", "CPU pressure, some", "%", lambda s: 8 + 4 * wave(s)),
            series("host", "I/O pressure, full", "%", lambda s: 0.2 + 22 * (s in slow)),
            series("host", "disk written", "MiB/s", lambda s: 3 + 41 * (s in slow)),
            series("postgres", "WAL written", "MiB/s", lambda s: 2.5 + wave(s)),
            series("postgres", "active backends", "", lambda s: 3 + 5 * (s in slow)),
            series("postgres", "waiting backends", "", lambda s: 4 * (s in slow)),
            series("postgres", "buffer hits", "%", lambda s: 99.2 - 3 * (s in slow)),
            series("service", "memory", "MiB", lambda s: 412 + s),
            series("service", "cache search", "%", lambda s: 94 + 2 * wave(s)),
            series("generator", "CPU", "%", lambda s: 31 + 8 * wave(s / 2)),
            series("generator", "in flight", "", lambda s: 6 + 11 * (s in slow)),
        ],
        events=[
            Event("postgres", 8.2, 2.6, "a checkpoint, which wrote 1,204 buffers"),
            Event(
                "postgres", 16.5, 0.4, "process 4711 waited for a lock that INSERT INTO memories of process 4712 held"
            ),
        ],
        statements=[
            Statement(
                "SELECT id, content FROM memories ORDER BY embedding <=> $1 LIMIT $2", 528, 4_210.5, 5_280, 91_000, 900
            ),
            Statement(
                "INSERT INTO memories (id, content, embedding) VALUES ($1, $2, $3)", 352, 610.2, 352, 4_000, 12, 3 << 20
            ),
        ],
        relations=[
            Relation("memories", mib=212.4, scans=3, live=20_352, dead=611),
            Relation("memories_embedding", "memories", 180.2, 528),
        ],
        missing=["buffers read from the disk: the server keeps no track_io_timing"],
    )


def working_result(**changes):
    return result_of(WORKING, {"get": Server(420), "noop": Server(60)}, 7, **changes)

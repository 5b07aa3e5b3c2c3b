"""Records of every kind of run, good and bad."""

import numpy as np
import pytest

from harness.core.readings import (
    Drift,
    GeneratorHealth,
    Recall,
    Sample,
    ServiceReadings,
    WarmUp,
    WorstSecond,
)
from harness.core.record import (
    MicroResult,
    OperationVerdict,
    Provenance,
    RunRecord,
    Setting,
    System,
)
from harness.core.recorder import OperationLog
from harness.core.verdict import Verdict

from .runs import (
    FLOOR_REASON,
    INVALID_REASONS,
    MIXED,
    WARM,
    WORKING,
    Server,
    make,
    measured,
    provenance,
    result_of,
    target,
    telemetry,
    working_result,
)


@pytest.fixture(scope="session")
def healthy():
    readings = ServiceReadings(
        pool_utilization=[Sample(i / 2, 0.34 + 0.1 * np.sin(i / 3)) for i in range(40)],
        cache_hits={"search": 940},
        cache_misses={"search": 60},
    )
    servers = {"create": Server(2_400), "search": Server(9_000), "get": Server(700)}
    mixed = result_of(
        MIXED,
        servers,
        9,
        service=readings,
        telemetry=telemetry(),
        warmup=WarmUp(3.2, False, "the median of its last third is 11% above the third's before", 282),
        recall={"search": Recall(10, 200, 0.9815, 0.9742, 0.9874, 3)},
        worst=WorstSecond(
            9,
            "search",
            31_400.0,
            9_870.0,
            ["a checkpoint ran from 8.2 to 10.8 s", "I/O pressure was 22%, usually 0.2%"],
        ),
        drifts=[
            Drift("memory of the service", "MiB", 412.0, 60.0, 54.1, 66.2),
            Drift("response P50", "ms", 2.61, 0.02, -0.11, 0.14),
        ],
        pressure="a memory hog of 512 MiB and 1 spinning process",
    )
    steady = WarmUp(2.0, True, "no trend in its last 10 windows, Mann-Kendall p = 0.41", 300)
    floor_hides = "the floor's own P99 leaves less than half of the target: judged on the server clock"
    return make(
        "2026-05-04-healthy",
        scenarios=[working_result(warmup=steady), result_of(WARM, {"search": Server(14_000)}, 8), mixed],
        targets=[
            target(
                "working_memory_access",
                Verdict.PASS,
                0.972,
                clock="server",
                operation="get",
                percentile=99.0,
                floor=0.71,
                reasons=[floor_hides],
            ),
            target("warm_storage_query", Verdict.PASS, 30.0, operation="search", percentile=99.0),
            target("concurrent_users", Verdict.PASS, 100),
            target("error_rate", Verdict.PASS, 0.0),
            target("connection_pool", Verdict.PASS, 43.8),
            target("memory_creation_rate", Verdict.NOT_MEASURED, None, reasons=["creation did not run"]),
        ],
        calmed=["autovacuum waited", "the CPU governor was set to performance"],
        micro=[MicroResult("codec", "encode[1536]", 4_000, 41.2, 55.0, 80.1, 312.0, 23_800.0)],
    )


@pytest.fixture(scope="session")
def failing():
    servers = {"create": Server(2_400, errors=0.2), "search": Server(9_000, lost=4), "get": Server(700)}
    return make(
        "2026-05-04-failing",
        scenarios=[
            result_of(WARM, {"search": Server(14_000, freeze=(8, 2))}, 8),
            result_of(
                MIXED,
                servers,
                9,
                verdicts={
                    "create": OperationVerdict(Verdict.FAIL, ["15.6% of 352 requests failed: HTTP 503 x55"]),
                    "search": OperationVerdict(Verdict.PASS),
                },
            ),
        ],
        targets=[
            target("warm_storage_query", Verdict.FAIL, 1812.4),
            target("error_rate", Verdict.WARN, 4.1, reasons=["HTTP 503: 71 of 1,760"]),
            target("compression_ratio", Verdict.PASS, 11.3),
            target("cold_storage_retrieval", Verdict.PASS, 0.0312),
            target("memory_creation_rate", Verdict.WARN, 999.96),
        ],
    )


@pytest.fixture(scope="session")
def invalid():
    generator = GeneratorHealth(
        workers=2, reported=1, cpu=0.99, cpu_mean=0.93, max_in_flight=64, steal=0.09, max_rss_mib=140
    )
    servers = {"get": Server(420, lag=9_000, skipped=12, lost=3), "noop": Server(60, lag=9_000)}
    verdicts = {
        "get": OperationVerdict(Verdict.INVALID, INVALID_REASONS),
        "noop": OperationVerdict(Verdict.INVALID, [FLOOR_REASON]),
    }
    repeated = {"attempt": 2, "repeated_because": ["the generator lagged"]}
    result = result_of(WORKING, servers, 7, generator=generator, verdicts=verdicts, **repeated)
    return make(
        "2026-05-04-invalid",
        scenarios=[result],
        targets=[
            target(
                "working_memory_access",
                Verdict.INVALID,
                38.4,
                floor=31.0,
                reasons=INVALID_REASONS,
                hints=["Run it with more workers: membench run working_access --workers 2"],
            )
        ],
        reasons=["the phase was repeated once and lagged again"],
    )


@pytest.fixture(scope="session")
def interrupted():
    cut = working_result(seconds=4.2, status="interrupted")
    return make(
        "2026-05-04-interrupted",
        status="interrupted",
        scenarios=[cut],
        targets=[
            target("working_memory_access", Verdict.INVALID, None, reasons=["603 samples, a P99 needs 1,000"]),
            target("warm_storage_query", Verdict.NOT_MEASURED, None, clock=""),
        ],
        not_run=["warm_query", "mixed"],
        dataset=None,
    )


@pytest.fixture(scope="session")
def empty():
    return RunRecord(
        id="2026-05-04-empty",
        created_at="2026-05-04T09:00:00Z",
        provenance=Provenance("0.1.0", [], "", False, {}, "3.11.9", {}),
        seed=0,
        status="failed",
        failure="PostgreSQL did not start: no space left on device",
    )


@pytest.fixture(scope="session")
def hopeless():
    """Nothing was ever answered, and everything that can be hostile is."""
    bad = "<script>alert(1)</script> \x1b[31m|\x00 [red]`x`"
    logs = measured(WARM, {"search": Server(9_000, errors=1.0, kind=bad)}, 3)
    result = result_of(
        WARM, {"search": Server(1)}, 3, operations=[*logs, OperationLog("idle", logs[0].tally.__class__(), {}, [])]
    )
    result.seconds = 0.0
    return make(
        "2026-05-04-hopeless",
        provenance=provenance("membench", "run", bad),
        scenarios=[result],
        targets=[
            target("warm_storage_query", Verdict.INVALID, None, reasons=[bad], hints=[bad]),
            target("error_rate", Verdict.FAIL, 100.0, reasons=[bad]),
        ],
        system=System(url=bad, settings=[Setting(bad, bad, bad, bad)]),
        reasons=[bad],
        failure=bad,
        status="failed",
    )


@pytest.fixture(params=["healthy", "failing", "invalid", "interrupted", "empty", "hopeless"])
def record(request):
    return request.getfixturevalue(request.param)

"""From a load process's report to a scenario's result."""

from datetime import UTC, datetime

from harness.core.readings import GeneratorHealth
from harness.core.record import ScenarioResult
from harness.core.recorder import merge_logs
from harness.load.job import LoadJob, LoadReport


def result_of(job: LoadJob, hashes: dict[str, str], report: LoadReport | None, failure: str = "") -> ScenarioResult:
    """What a load process's report means for a run's record.

    Args:
        job: that it did.
        hashes: of its tapes, per operation.
        report: None where there is none.
        failure: how it failed, where it did.
    """
    failure = failure or (report.problem if report else "")
    result = ScenarioResult(
        scenario=job.scenario,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seconds=0.0,
        status="failed" if failure else "complete",
        seed=job.seed,
        tapes=hashes,
        operations=[],
        generator=GeneratorHealth(workers=job.workers, reported=0),
        failure=failure,
    )
    if report is not None and report.reported:
        result.started_at, result.seconds, result.warmup = report.started_at, report.seconds, report.warmup
        result.operations = [merge_logs([log]) for log in report.operations]
        if report.interrupted and not failure:
            result.status = "interrupted"
        result.generator = GeneratorHealth(
            workers=report.workers,
            reported=report.reported,
            cpu=report.cpu,
            cpu_mean=report.cpu_mean,
            max_in_flight=report.max_in_flight,
            max_rss_mib=round(report.max_rss_mib, 1),
            clock_shift=report.clock_shift,
            suspended=report.suspended,
        )
    return result

"""From a load process's report to a scenario's result."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

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


def in_turns(reports: Sequence[LoadReport]) -> LoadReport:
    """One report of jobs that one load process did one after the other.

    Counts and lengths add up, histograms merge; what was steady and when it began is the first one's.
    """
    seconds = sum(report.seconds for report in reports)
    return msgspec.structs.replace(
        reports[0],
        operations=[merge_logs(list(logs)) for logs in zip(*(report.operations for report in reports), strict=True)],
        seconds=seconds,
        interrupted=any(report.interrupted for report in reports),
        problem=next((report.problem for report in reports if report.problem), ""),
        reported=min(report.reported for report in reports),
        cpu=max(report.cpu for report in reports),
        cpu_mean=sum(report.cpu_mean * report.seconds for report in reports) / seconds if seconds else 0.0,
        max_in_flight=max(report.max_in_flight for report in reports),
        max_rss_mib=max(report.max_rss_mib for report in reports),
        clock_shift=max((report.clock_shift for report in reports), key=abs),
        suspended=sum(report.suspended for report in reports),
        warmup_requests=sum(report.warmup_requests for report in reports),
        samples=[],
        parts=[],
    )

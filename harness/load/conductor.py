"""Leads one or many workers through the phases of a job: tells when each begins, and makes one report of theirs."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import gevent

from harness.core.histogram import Histogram, merged
from harness.core.readings import WarmUp
from harness.core.recorder import merge_logs
from harness.core.scenario import Phases
from harness.core.steady import Steadiness, steadiness
from harness.load.job import Line, LoadReport, Phase, PhaseChange, Progress
from harness.load.messages import Begin, Done, Measure, News, Order, Prepared, Pulse, Stop, Tick
from harness.load.pulse import BATCH
from harness.load.worker import INTERRUPTED_DRAIN

LEAD: Final = 0.1
"""Seconds by which workers are told of the measure phase before it begins; no more than their start's delay."""
REPORT_GRACE: Final = 45.0
"""Seconds after the drain in which workers fold and send what they have."""
_STEP: Final = 0.02


class Crew(Protocol):
    """The workers, wherever they are."""

    def tell(self, order: Order) -> None:
        """Give all of them an order."""
        ...

    def lost(self, *, reporting: bool) -> str:
        """Which of them went away before it had reported, and how; empty when none did."""
        ...


class Conductor:
    """Conducts one job.

    Args:
        phases: of its scenario.
        workers: how many there are.
        say: takes lines for the driver.
        delay: seconds between the end of the preparations and the first planned request.

    Attributes:
        stopped: whether it was told to end early.
    """

    def __init__(self, phases: Phases, workers: int, say: Callable[[Line], None], delay: float) -> None:
        self._phases, self._workers, self._say, self._delay = phases, workers, say, delay
        self._lead = min(LEAD, delay)
        self._crew: Crew | None = None
        self.stopped = False
        self._problem = ""
        self._reports: dict[str, LoadReport] = {}
        self._ticks: dict[str, Progress] = {}
        self._pulses: dict[str, list[Pulse]] = {}

    def hear(self, worker: str, news: News) -> None:
        """Take in what a worker has to tell."""
        match news:
            case Pulse():
                self._pulses.setdefault(worker, []).append(news)
            case Tick():
                # Each worker tells once a second, and so does the conductor, when it has heard of all.
                self._ticks[worker] = news.progress
                if len(self._ticks) >= self._workers - len(self._reports):
                    self._say(together(list(self._ticks.values())))
                    self._ticks.clear()
            case Done():
                self._reports[worker] = news.report
            case Prepared():
                pass

    def stop(self) -> None:
        """End now; the workers still report what they have."""
        if not self.stopped:
            self.stopped = True
            if self._crew is not None:
                self._crew.tell(Stop())

    def conduct(self, crew: Crew) -> LoadReport:
        """Lead a crew, which is prepared, through all phases."""
        self._crew = crew
        crew.tell(Stop() if self.stopped else Begin(self._delay))
        began = time.monotonic() + self._delay
        self._say(PhaseChange("warm-up"))
        found = self._warm_up(began)
        warmed = time.monotonic() + self._lead - began
        if not self.stopped:
            crew.tell(Measure(self._lead))
            self._pass(self._lead)
            self._enter("measure")
            self._pass(self._phases.measure)
        self._enter("drain")
        drain = INTERRUPTED_DRAIN if self.stopped else self._phases.drain
        self._pass(drain + REPORT_GRACE, until_reported=True)
        self._say(PhaseChange("end"))
        return self._report(found, warmed)

    def _warm_up(self, began: float) -> Steadiness:
        """Wait until the answers are steady, or the longest warm-up is over."""
        while not self.stopped:
            self._pass(_STEP)
            elapsed = time.monotonic() - began + self._lead
            found = steadiness(self._batches())
            if elapsed >= self._phases.longest_warmup or (elapsed >= self._phases.warmup and found.steady):
                return found
        return steadiness(self._batches())

    def _batches(self) -> list[float]:
        """Means of the logarithm of response times of all workers, per quarter of a second in which any ended."""
        together = zip(*self._pulses.values(), strict=False)
        counted = [(sum(p.count for p in parts), sum(p.log_sum for p in parts)) for parts in together]
        return [log_sum / count for count, log_sum in counted if count]

    def _enter(self, phase: Phase) -> None:
        if not self.stopped or phase == "drain":
            self._say(PhaseChange(phase))

    def _pass(self, seconds: float, *, until_reported: bool = False) -> None:
        """Let time pass, and watch the crew meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if until_reported and len(self._reports) >= self._workers:
                return
            if self._crew and (lost := self._crew.lost(reporting=until_reported)):
                # Without it the load is not the one that was asked for: the rest would be wasted time.
                self._problem = self._problem or lost
                self.stop()
                if until_reported and len(self._reports) + 1 >= self._workers:
                    return
            if self.stopped and not until_reported:
                return
            gevent.sleep(min(_STEP, left))

    def _report(self, found: Steadiness, warmed: float) -> LoadReport:
        reports = list(self._reports.values())
        if not reports:
            return nothing(self._workers, self._problem or "no worker reported")
        warmup = WarmUp(
            seconds=round(warmed, 3),
            steady=found.steady,
            test=_test(found),
            dropped=sum(report.warmup_requests for report in reports),
        )
        report = combined(reports, self._workers)
        report.problem = report.problem or self._problem
        report.interrupted = report.interrupted and not self._problem
        report.warmup = warmup
        return report


def together(ticks: Sequence[Progress]) -> Progress:
    """The progress of all workers as one; percentiles come from their merged histogram."""
    if len(ticks) == 1:
        return ticks[0]
    responses = merged(Histogram.decode(tick.responses) for tick in ticks if tick.responses)
    return Progress(
        phase=ticks[-1].phase,
        elapsed=max(tick.elapsed for tick in ticks),
        total=ticks[-1].total,
        rate=sum(tick.rate for tick in ticks),
        p99_us=responses.percentile(99),
        errors=sum(tick.errors for tick in ticks),
        skipped=sum(tick.skipped for tick in ticks),
        in_flight=sum(tick.in_flight for tick in ticks),
        cpu=max(tick.cpu for tick in ticks),
        rss_mib=max(tick.rss_mib for tick in ticks),
    )


def combined(reports: Sequence[LoadReport], workers: int) -> LoadReport:
    """One report of several workers: counts add up, histograms merge; the longest, busiest and largest count."""
    by_name = zip(*(report.operations for report in reports), strict=True)
    return LoadReport(
        operations=[merge_logs(list(logs)) for logs in by_name],
        started_at=min(report.started_at for report in reports),
        seconds=max(report.seconds for report in reports),
        interrupted=any(report.interrupted for report in reports),
        problem=next((report.problem for report in reports if report.problem), ""),
        cpu=max(report.cpu for report in reports),
        cpu_mean=max(report.cpu_mean for report in reports),
        max_in_flight=sum(report.max_in_flight for report in reports),
        max_rss_mib=max(report.max_rss_mib for report in reports),
        clock_shift=max((report.clock_shift for report in reports), key=abs),
        suspended=max(report.suspended for report in reports),
        workers=workers,
        reported=len(reports),
        warmup_requests=sum(report.warmup_requests for report in reports),
        samples=[one for report in reports for one in report.samples],
        parts=[report.operations for report in reports],
    )


def nothing(workers: int, problem: str) -> LoadReport:
    """The report of a job of which nothing is known."""
    return LoadReport([], "", 0.0, False, problem, 0.0, 0.0, 0, 0.0, workers=workers, reported=0)


def _test(found: Steadiness) -> str:
    if not found.batches:
        return "no request was answered"
    where = f"its transient ends in batch {found.truncation} of {found.batches}, {BATCH:g} s each"
    return f"MSER on the log of the response time: {where}"

"""One load generator: its share of a job from plan to report, told by a conductor when the phases begin."""

import gc
import itertools
import math
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment

from harness.core.plan import Plans, most_requests, plan_open
from harness.core.recorder import UNKNOWN, OperationRecorder
from harness.core.scenario import ClosedArrivals, OpenArrivals
from harness.core.tape import Request, read_tape
from harness.load.clocks import ClockWatch
from harness.load.job import LoadJob, LoadReport, Phase
from harness.load.messages import News
from harness.load.pulse import Meter
from harness.load.sampling import SAMPLES, Reservoir
from harness.load.users import ClosedUser, OpenUser, RecordedUser, Session

INTERRUPTED_DRAIN = 2.0
"""Seconds that requests in flight are given after an interrupt."""
_STEP = 0.05
_LAST_STEP = 0.005


class Worker:
    """One job's share.

    Args:
        job: with this worker's number.
        say: takes news for the conductor.
        own_tapes: whether the tapes hold this worker's requests alone, rather than everybody's.

    Raises:
        Exception: the tapes do not fit the plan, or cannot be read.
    """

    def __init__(self, job: LoadJob, say: Callable[[News], None], *, own_tapes: bool = False) -> None:
        self.job, self._say = job, say
        names = tuple(job.tapes)
        self.plans = plans_of(job)
        if self.plans is not None and self.plans.measure.operations != names:
            raise ValueError(f"tapes {names} do not fit the plan's operations {self.plans.measure.operations}")
        self.interrupted = False
        self.meter = Meter(merged=job.workers > 1)
        self.session = Session(
            recorders=[OperationRecorder(name, room=self._room(number)) for number, name in enumerate(names)],
            tapes=[self._tape(number, Path(path), own_tapes) for number, path in enumerate(job.tapes.values())],
            phases=job.scenario.phases,
            reservoirs=self._reservoirs(),
        )

    def _room(self, operation: int) -> int:
        """How many requests of an operation there can be."""
        if self.plans is not None:
            return sum(len(plan.requests_of(operation)) for plan in self.plans)
        return (
            most_requests(self.job.scenario, list(self.job.tapes)[operation], self.job.workers) // self.job.workers + 1
        )

    def _reservoirs(self) -> dict[int, Reservoir]:
        job, size = self.job, math.ceil(SAMPLES / self.job.workers)
        return {
            number: Reservoir(size, f"{job.seed}/{job.worker}/{operation.name}")
            for number, operation in enumerate(job.scenario.operations)
            if operation.request == "search"
        }

    def _tape(self, operation: int, path: Path, own: bool) -> tuple[Iterator[Request], Iterator[Request]]:
        """The requests of one operation in the warm-up and in the measure phase; one and the same for users."""
        if self.plans is None:
            mine = itertools.count() if own else itertools.count(self.job.worker, self.job.workers)
            requests = read_tape(path, mine)
            return requests, requests
        first, second = (plan.requests_of(operation).tolist() for plan in self.plans)
        if own:
            first, second = range(len(first)), range(len(first), len(first) + len(second))
        return read_tape(path, first), read_tape(path, second)

    def user_class(self) -> tuple[type[RecordedUser], int]:
        """The Locust user class of this job, and how many of it this worker has."""
        job, arrivals = self.job, self.job.scenario.arrivals
        common: dict[str, Any] = {"session": self.session, "host": job.url}
        if isinstance(arrivals, OpenArrivals):
            in_flight = max(arrivals.max_in_flight // job.workers, 1)
            own = {"plans": self.plans, "max_in_flight": in_flight, "connections": arrivals.connections}
            return type("Open", (OpenUser,), {**common, **own}), 1
        weights = [operation.weight for operation in job.scenario.operations]
        seed = job.seed * job.workers + job.worker
        users = arrivals.users // job.workers + (job.worker < arrivals.users % job.workers)
        return type("Closed", (ClosedUser,), {**common, "arrivals": arrivals, "weights": weights, "seed": seed}), users

    def begin(self, delay: float) -> None:
        """The warm-up begins in `delay` seconds."""
        # What exists now lives to the end: the collector need not look at it in the middle of a run.
        gc.freeze()
        self.session.start = time.perf_counter_ns() + round(delay * 1e9)
        self.session.begun.set()

    def measure(self, delay: float) -> None:
        """The measure phase begins in `delay` seconds."""
        start = time.perf_counter_ns() + round(delay * 1e9)
        self._set_measure(start, start + round(self.job.scenario.phases.measure * 1e9))

    def stop(self) -> None:
        """End the run now; what was measured so far is reported."""
        now = time.perf_counter_ns()
        session = self.session
        if self.interrupted or now >= session.measure_end < UNKNOWN:
            return
        self.interrupted = True
        session.start = session.start or now
        self._set_measure(min(session.measure_start, now), now)
        session.begun.set()

    def _set_measure(self, start: int, end: int) -> None:
        self.session.measure_start, self.session.measure_end = start, end
        for recorder in self.session.recorders:
            recorder.begin_measure(start, end)

    def live(self, environment: Environment) -> LoadReport:
        """Watch over the phases until all requests have ended or the drain is over, and report."""
        session = self.session
        session.begun.wait()
        while time.perf_counter_ns() < session.measure_start:
            self._wait(environment, "warm-up")
        clocks = ClockWatch()
        self.meter.begin_phase()
        while (left := session.measure_end - time.perf_counter_ns()) > 0:
            self._wait(environment, "measure", left / 1e9)
        self.meter.end_phase()
        shift, suspended = clocks.shift(), clocks.suspended()
        drain = INTERRUPTED_DRAIN if self.interrupted else self.job.scenario.phases.drain
        until = session.measure_end + round(drain * 1e9)
        while time.perf_counter_ns() < until and not self._idle():
            self._wait(environment, "drain", _LAST_STEP)
        session.tell_locust(environment)
        report = self._report()
        report.clock_shift, report.suspended = shift, suspended
        return report

    def _wait(self, environment: Environment, phase: Phase, most: float = _STEP) -> None:
        gevent.sleep(min(_STEP, most))
        self.session.tell_locust(environment)
        for news in self.meter.read(self.session, phase):
            self._say(news)

    def _idle(self) -> bool:
        """Whether nothing is under way or about to be."""
        session = self.session
        begun = sum(recorder.sent + recorder.skipped for recorder in session.recorders)
        started = begun == sum(recorder.planned for recorder in session.recorders)
        return session.in_flight == 0 and started and (self.plans is None or session.finished)

    def _report(self) -> LoadReport:
        session = self.session
        if self.plans is not None and not (session.finished or self.interrupted):
            session.problem = session.problem or "the plan was not offered to its end in time"
        # A request that ended without a record would else pass for one that the service never answered.
        under_way = sum(recorder.sent - recorder.finished for recorder in session.recorders)
        if under_way > session.in_flight:
            lost = under_way - session.in_flight
            session.problem = session.problem or f"{lost} requests ended but were not recorded"
        began = time.time() - (time.perf_counter_ns() - session.measure_start) / 1e9
        return LoadReport(
            operations=[recorder.log() for recorder in session.recorders],
            started_at=datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds"),
            seconds=max(session.measure_end - session.measure_start, 0) / 1e9,
            interrupted=self.interrupted,
            problem=session.problem,
            cpu=max([*self.meter.measured, self.meter.whole]),
            cpu_mean=self.meter.whole,
            max_in_flight=session.max_in_flight,
            max_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            samples=[one for reservoir in session.reservoirs.values() for one in reservoir.kept],
            warmup_requests=sum(recorder.in_warmup() for recorder in session.recorders),
        )


def plans_of(job: LoadJob) -> Plans | None:
    """A worker's share of the plans; None where users decide for themselves."""
    if isinstance(job.scenario.arrivals, ClosedArrivals):
        return None
    warmup, measure = plan_open(job.scenario, job.seed)
    share = job.worker, job.workers
    return Plans(warmup.share(*share), measure.share(*share))

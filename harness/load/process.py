"""The load process (`python -m harness.load.process FOLDER`): one Locust environment, one job, one report."""

import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import msgspec
import numpy as np
from locust.env import Environment

from harness.core.plan import Plans, plan_open
from harness.core.recorder import OperationRecorder
from harness.core.scenario import ClosedArrivals, OpenArrivals
from harness.core.tape import Request, read_tape
from harness.load.clocks import ClockWatch
from harness.load.job import JOB_FILE, REPORT_FILE, LoadJob, LoadReport, PhaseChange, Progress, encode_line
from harness.load.users import ClosedUser, OpenUser, RecordedUser, Session

START_DELAY = 0.3
"""Seconds between the end of the preparations and the first planned request."""
INTERRUPTED_DRAIN = 2.0
"""Seconds that requests in flight are given after an interrupt."""


class Run:
    """One job from start to report."""

    def __init__(self, job: LoadJob) -> None:
        self.job = job
        names = tuple(job.tapes)
        self.plans = self._plan(names)
        phases = job.scenario.phases
        self.start = time.perf_counter_ns() + round(START_DELAY * 1e9)
        self.measure_start = self.start + round(phases.warmup * 1e9)
        self.measure_end = self.measure_start + round(phases.measure * 1e9)
        self.interrupted = False
        self.clock_shift = self.suspended = 0.0
        self.watch = _Watch()
        measure = (self.measure_start, self.measure_end)
        self.session = Session(
            recorders=[OperationRecorder(name, measure) for name in names],
            tapes=[_share(read_tape(Path(path)), job.worker, job.workers) for path in job.tapes.values()],
            deadline=self.measure_end,
        )

    def _plan(self, names: tuple[str, ...]) -> Plans | None:
        if isinstance(self.job.scenario.arrivals, ClosedArrivals):
            return None
        warmup, measure = plan_open(self.job.scenario, self.job.seed)
        if measure.operations != names:
            raise ValueError(f"tapes {names} do not fit the plan's operations {measure.operations}")
        share = self.job.worker, self.job.workers
        return Plans(warmup.share(*share), measure.share(*share))

    def user_class(self) -> tuple[type[RecordedUser], int]:
        """The Locust user class of this job, and how many of it."""
        arrivals, job = self.job.scenario.arrivals, self.job
        common = {"session": self.session, "origin": self.start, "host": job.url}
        if isinstance(arrivals, OpenArrivals):
            extra: dict[str, Any] = {
                "plans": self.plans,
                "measure_start": self.measure_start,
                "max_in_flight": max(arrivals.max_in_flight // job.workers, 1),
            }
            return type("Open", (OpenUser,), {**common, **extra}), 1
        extra = {
            "arrivals": arrivals,
            "weights": [operation.weight for operation in job.scenario.operations],
            "seed": job.seed * job.workers + job.worker,
        }
        users = arrivals.users // job.workers + (job.worker < arrivals.users % job.workers)
        return type("Closed", (ClosedUser,), {**common, **extra}), users

    def interrupt(self) -> None:
        """End the run now; what was measured so far is reported."""
        now = time.perf_counter_ns()
        if not self.interrupted and now < self.measure_end:
            self.interrupted = True
            self.session.deadline = self.measure_end = now
            for recorder in self.session.recorders:
                recorder.measure_end = now

    def execute(self) -> LoadReport:
        """Run all phases."""
        user, count = self.user_class()
        self.environment = environment = Environment(user_classes=[user], host=self.job.url)
        runner = environment.create_local_runner()
        # What exists now lives to the end: the collector need not look at it again in the middle of a run.
        gc.collect()
        gc.freeze()
        # 100 users within a second: the guide's load begins at full strength, the warm-up absorbs it.
        runner.start(count, spawn_rate=max(count, 1))
        self._phase("warm-up", self.start, self.measure_start)
        clocks = ClockWatch()
        self._phase("measure", self.measure_start, None)
        self.clock_shift, self.suspended = clocks.shift(), clocks.suspended()
        drain = INTERRUPTED_DRAIN if self.interrupted else self.job.scenario.phases.drain
        self._phase("drain", self.measure_end, self.measure_end + round(drain * 1e9), until_idle=True)
        self.session.tell_locust(environment)
        _say(PhaseChange("end"))
        report = self.report()
        runner.quit()
        return report

    def report(self) -> LoadReport:
        """What was measured."""
        if self.plans is not None and not (self.session.finished or self.interrupted):
            self.session.problem = self.session.problem or "the plan was not offered to its end in time"
        # A request that ended without a record would else pass for one that the service never answered.
        under_way = sum(recorder.sent - recorder.finished for recorder in self.session.recorders)
        if under_way > self.session.in_flight:
            lost = under_way - self.session.in_flight
            self.session.problem = self.session.problem or f"{lost} requests ended but were not recorded"
        seconds = max(self.measure_end - self.measure_start, 0) / 1e9
        began = time.time() - (time.perf_counter_ns() - self.measure_start) / 1e9
        return LoadReport(
            operations=[recorder.log() for recorder in self.session.recorders],
            started_at=datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds"),
            seconds=seconds,
            interrupted=self.interrupted,
            problem=self.session.problem,
            cpu=max(self.watch.measured, default=0.0),
            cpu_mean=float(np.mean(self.watch.measured)) if self.watch.measured else 0.0,
            max_in_flight=self.session.max_in_flight,
            max_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            clock_shift=self.clock_shift,
            suspended=self.suspended,
        )

    def _phase(self, name: Any, begin: int, end: int | None, *, until_idle: bool = False) -> None:
        """Report progress each second until a phase is over. The measure phase's end may move: it is read anew."""
        if self.interrupted and name != "drain":
            return
        _say(PhaseChange(name))
        total = ((end if end is not None else self.measure_end) - begin) / 1e9
        while True:
            over = self.measure_end if end is None else end
            left = (over - time.perf_counter_ns()) / 1e9
            if left <= 0 or (until_idle and self._idle()) or (self.interrupted and name == "warm-up"):
                return
            gevent.sleep(min(left, 0.02 if until_idle else 1.0, 0.1))
            self.session.tell_locust(self.environment)
            line = self.watch.progress(self.session, name, begin, total)
            if line is not None:
                _say(line)
                if os.getppid() != self.watch.parent:
                    self.interrupt()

    def _idle(self) -> bool:
        """Whether nothing is under way or about to be."""
        recorders = self.session.recorders
        begun = sum(recorder.sent + recorder.skipped for recorder in recorders)
        started = begun == sum(recorder.planned for recorder in recorders)
        return self.session.in_flight == 0 and started and (self.plans is None or self.session.finished)


class _Watch:
    """The generator's own CPU time and the last second's answers."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.measured: list[float] = []
        self._then, self._cpu = time.perf_counter_ns(), time.process_time()
        self._seen: list[int] = []

    def progress(self, session: Session, phase: Any, begin: int, total: float) -> Progress | None:
        now = time.perf_counter_ns()
        wall = (now - self._then) / 1e9
        if wall < 1.0:
            return None
        cpu = time.process_time()
        share = (cpu - self._cpu) / wall
        self._then, self._cpu = now, cpu
        if phase == "measure":
            self.measured.append(share)
        recent = self._recent(session.recorders)
        return Progress(
            phase=phase,
            elapsed=max(now - begin, 0) / 1e9,
            total=total,
            rate=len(recent) / wall,
            p99_us=float(np.percentile(recent, 99)) if recent else None,
            errors=sum(sum(recorder.error_counts.values()) for recorder in session.recorders),
            skipped=sum(recorder.skipped for recorder in session.recorders),
            in_flight=session.in_flight,
            cpu=share,
        )

    def _recent(self, recorders: list[OperationRecorder]) -> list[float]:
        self._seen = self._seen or [0] * len(recorders)
        values: list[float] = []
        for number, recorder in enumerate(recorders):
            values += recorder.responses_since(self._seen[number])
            self._seen[number] = len(recorder)
        return values


def _share(requests: Iterator[Request], worker: int, workers: int) -> Iterator[Request]:
    return (request for number, request in enumerate(requests) if number % workers == worker)


def _say(line: Progress | PhaseChange) -> None:
    sys.stdout.buffer.write(encode_line(line))
    sys.stdout.buffer.flush()


def main(folder: str) -> None:
    """Run the job in a folder and leave the report there."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # As Locust's own command does: each request in flight is an open file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    path = Path(folder)
    run = Run(msgspec.json.decode((path / JOB_FILE).read_bytes(), type=LoadJob))
    gevent.signal_handler(signal.SIGINT, run.interrupt)
    gevent.signal_handler(signal.SIGTERM, run.interrupt)
    report = run.execute()
    partial = path / (REPORT_FILE + ".part")
    partial.write_bytes(msgspec.json.encode(report))
    partial.replace(path / REPORT_FILE)


if __name__ == "__main__":
    main(sys.argv[1])

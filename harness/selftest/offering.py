"""Offers load by real load processes, and keeps what they reported and under which conditions."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from harness.core.errors import LoadError
from harness.core.readings import GeneratorHealth
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import FLOOR, ClosedArrivals, OpenArrivals, Operation, Phases, Scenario
from harness.core.tape import Request, write_tape
from harness.load.driver import LoadProcess
from harness.load.job import LoadJob, LoadReport, PhaseChange, Progress
from harness.selftest.conditions import Waits
from harness.selftest.expected import Range
from harness.selftest.serving import MisbehavingServer
from harness.telemetry.host import StealMeter

WARMUP: Final = 1.5
"""Seconds before each measure phase: by then the process is over its start, after which a scheduler makes it wait."""
SPARE: Final = 1.5
"""Requests on the tape, as a multiple of what the plan needs."""

DRAIN_LEAST: Final = 5.0
"""Multiples of the offered rate; at less, the range between a fast and a slow drain is too wide to mean anything."""


class Teller(Protocol):
    """Where progress goes."""

    def step(self, text: str) -> None:
        """Something worth a line."""

    def load(self, scenario: str, progress: Progress) -> None:
        """How the load goes."""


@dataclass
class Bench:
    """What all cases share.

    Attributes:
        folder: an empty one for their files.
        environment: of every process that they start.
        teller: where progress goes.
        drain: answers per second that the generator takes in at the least; None until it was measured.
        floor: the median of a server that does nothing, ms; 0 until it was measured.
    """

    folder: Path
    environment: Mapping[str, str]
    teller: Teller
    drain: float | None = None
    floor: float = 0.0
    _count: int = field(default=0)

    def server(self, *options: object) -> MisbehavingServer:
        """A misbehaving server."""
        return MisbehavingServer(*options, environment=self.environment)

    def drain_for(self, rate: float) -> float:
        """Answers per second that a backlog drains with, where that is fast enough to tell a freeze by.

        Raises:
            LoadError: it is not, or it was never measured.
        """
        if self.drain is None:
            raise LoadError(
                "how fast the generator takes in a backlog was not measured: the case of the swamped generator failed"
            )
        if self.drain < DRAIN_LEAST * rate:
            raise LoadError(
                f"no CPU: the generator reaches {self.drain:.0f} requests/s here, and with fewer than "
                f"{DRAIN_LEAST * rate:.0f}/s a backlog drains too slowly to know the figure"
            )
        return self.drain

    def fresh(self) -> Path:
        """A new folder."""
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir()
        return folder


@dataclass(frozen=True)
class Offered:
    """What became of a load.

    Attributes:
        result: as a run's record would hold it.
        parts: the log of each load process that reported.
        waits: per process, the most milliseconds that it waited for a core at a stretch.
    """

    result: ScenarioResult
    parts: list[OperationLog]
    waits: Mapping[str, float]

    @property
    def log(self) -> OperationLog | None:
        """The merged log; None where no process reported."""
        return self.result.operations[0] if self.result.operations else None

    def percentile(self, clock: str, percent: float) -> float | None:
        """Microseconds; None where nothing was measured."""
        return self.result.histogram(FLOOR, clock).percentile(percent) if self.result.operations else None


class Pause:
    """Stops a process with SIGSTOP for a while, from a thread of its own, and always continues it.

    Args:
        pid: of the process; it must be a child that nobody waits for meanwhile.
        after: seconds from now until the stop.
        seconds: of the stop.

    Attributes:
        took: seconds that it was stopped, from the least to the most it can have been.
    """

    def __init__(self, pid: int, *, after: float, seconds: float) -> None:
        self.took = Range(0.0, 0.0)
        self._pid, self._after, self._seconds = pid, after, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        if self._ended.wait(self._after):
            return
        with contextlib.suppress(ProcessLookupError):
            before = time.monotonic()
            os.kill(self._pid, signal.SIGSTOP)
            stopped = time.monotonic()
            self._ended.wait(self._seconds)
            continuing = time.monotonic()
            os.kill(self._pid, signal.SIGCONT)
            self.took = Range(continuing - stopped, time.monotonic() - before)

    def end(self) -> None:
        """Continue the process now, if it is stopped."""
        self._ended.set()
        self._thread.join()


def scenario(arrivals: OpenArrivals | ClosedArrivals, seconds: float, drain: float = 10.0) -> Scenario:
    """No-ops alone under these arrivals."""
    return Scenario(
        name="selftest",
        title="",
        description="",
        arrivals=arrivals,
        operations=(Operation(FLOOR, "noop"),),
        phases=Phases(warmup=WARMUP, warmup_most=WARMUP, measure=seconds, drain=drain),
    )


def even(rate: float, seconds: float, drain: float = 10.0) -> Scenario:
    """No-ops at equal distances."""
    return scenario(OpenArrivals(rate=rate, process="uniform", max_in_flight=8192), seconds, drain)


def offer(
    bench: Bench,
    title: str,
    server: MisbehavingServer,
    load: Scenario,
    *,
    workers: int = 1,
    during: Callable[[Sequence[int]], Pause | None] = lambda pids: None,
) -> Offered:
    """Offer a load and wait for its end.

    Args:
        bench: shared by the cases.
        title: for progress.
        server: that it goes to.
        load: the scenario.
        workers: load processes that share it.
        during: called with their ids when the measure phase begins; a pause that it returns is ended with the load.
    """
    folder = bench.fresh()
    tape = folder / "tape.jsonl"
    write_tape(tape, (Request("GET", "/api/v1/noop") for _ in range(_requests(load))))
    job = LoadJob(server.url, load, 1, {FLOOR: str(tape)}, workers=workers, keep_parts=True)
    report: LoadReport | None = None
    failure = ""
    stolen: float | None = None
    waits = Waits({})
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(LoadProcess(job, folder, bench.environment))
        watching = stack.enter_context(contextlib.ExitStack())
        try:
            for line in process.lines():
                if isinstance(line, Progress):
                    bench.teller.load(title, line)
                elif isinstance(line, PhaseChange) and line.phase == "measure":
                    pids = process.generators()
                    waits = Waits({"generator": pids, "server": [server.pid]})
                    watching.enter_context(waits)
                    steal = StealMeter()
                    if pause := during(pids):
                        stack.callback(pause.end)
                elif isinstance(line, PhaseChange) and line.phase == "drain":
                    stolen = steal.share()
            report = process.report()
        except LoadError as error:
            failure = str(error)
        watching.close()
    parts = [part[0] for part in report.parts] if report else []
    return Offered(_result(load, workers, report, failure, stolen), parts, waits.worst)


def _requests(load: Scenario) -> int:
    arrivals, phases = load.arrivals, load.phases
    rate = arrivals.users / max(arrivals.think[0], 0.001) if isinstance(arrivals, ClosedArrivals) else arrivals.rate
    return round(SPARE * rate * (phases.longest_warmup + phases.measure)) + 100


def _result(
    load: Scenario, workers: int, report: LoadReport | None, failure: str, stolen: float | None
) -> ScenarioResult:
    health = GeneratorHealth(workers=workers, reported=0, steal=stolen)
    if report is not None:
        health.reported, health.max_in_flight = report.reported, report.max_in_flight
        health.cpu, health.cpu_mean = report.cpu, report.cpu_mean
    failure = failure or (report.problem if report else "")
    return ScenarioResult(
        scenario=load,
        started_at=report.started_at if report else "",
        seconds=report.seconds if report else 0.0,
        status="failed" if failure else "complete",
        seed=1,
        tapes={},
        operations=report.operations if report else [],
        generator=health,
        failure=failure,
    )

"""One scenario against the system under test: load, what is read beside it, and the result of both."""

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.cli.options import ATTEMPTS_AT_ONCE, RunOptions
from harness.cli.recall import measure_recall
from harness.core.errors import LoadError
from harness.core.record import ScenarioResult
from harness.core.scenario import ClosedArrivals, Scenario
from harness.core.targets import Target
from harness.corpus import Dataset
from harness.corpus.tapes import write_tapes
from harness.judge.targets import worth_repeating
from harness.load.driver import LoadProcess
from harness.load.job import LoadJob, LoadReport, Note, Progress
from harness.load.pressure import Pressure, Wanted
from harness.load.result import result_of
from harness.load.sampling import Answered
from harness.stack.ledger import Ledger
from harness.telemetry.watch import Watch

_SPARE: Final = 60.0
"""Seconds that a load process may take beside its phases."""


@dataclass(frozen=True)
class UnderTest:
    """The system under test, while it is up.

    Attributes:
        url: the service's root.
        ledger: what was started for the run.
        database: PostgreSQL's URL; None where it is not ours to look into.
        pin: holds a load process, by its id, to the generator's cores.
    """

    url: str
    ledger: Ledger
    database: str | None
    pin: Callable[[int], None]


class Measuring:
    """Measures scenarios one by one.

    Args:
        options: of the run.
        display: where progress goes.
        interrupts: told whether the user wants to stop.
        targets: that decide whether a result must be believed.
    """

    def __init__(
        self, options: RunOptions, display: Display, interrupts: Interrupts, targets: Sequence[Target]
    ) -> None:
        self._options, self._display, self._interrupts, self._targets = options, display, interrupts, targets

    def measure(
        self, system: UnderTest, scenario: Scenario, dataset: Dataset, before: ScenarioResult | None = None
    ) -> ScenarioResult:
        """One scenario, repeated where its first figures cannot be believed for a reason that may pass.

        Args:
            system: under test.
            scenario: with its final load.
            dataset: what is loaded.
            before: earlier attempts' result, where this is the last attempt, at the end of the run.
        """
        because = self.doubts(before) if before else []
        result: ScenarioResult | None = before
        samples: list[Answered] = []
        first = before.attempt + 1 if before else 1
        last = first if before else ATTEMPTS_AT_ONCE
        wanted = self._options.pressure.get(scenario.name, Wanted())
        for attempt in range(first, last + 1):
            self._display.step(_announcement(scenario, attempt))
            with Pressure(wanted, _longest(scenario), system.ledger.environment()) as pressure:
                found, answered = self.attempt(system, scenario, dataset, attempt)
            if result is not None and result.status == "complete" and found.status != "complete":
                break  # better doubted than cut short
            result, samples = found, answered
            result.pressure = pressure.said
            result.attempt, result.repeated_because = attempt, because
            because = self.doubts(result)
            if not because or self._interrupts.seen:
                break
            if attempt < last:
                self._display.step(f"{scenario.name}: {'; '.join(because)}; measuring it once more")
        assert result is not None  # there is a first attempt
        if result.status == "complete" and result is not before:
            stop = threading.Event()
            # An interrupt ends this early, and what was measured before it is kept.
            with self._interrupts.passed_to(stop.set):
                measure_recall(system.url, result, samples, self._display.step, self._display.update, stop)
        return result

    def doubts(self, result: ScenarioResult) -> list[str]:
        """Why a result should be measured again; none where that would not help."""
        # A lag that pressure made would come again with it.
        return [] if result.pressure else worth_repeating(result, self._targets)

    def attempt(
        self, system: UnderTest, scenario: Scenario, dataset: Dataset, attempt: int
    ) -> tuple[ScenarioResult, list[Answered]]:
        """One attempt at a scenario: its result, and the searches to be asked again exactly."""
        seed = self._options.seed + 1_000_000 * (attempt - 1)
        folder = system.ledger.folder(scenario.name)
        tapes, hashes = write_tapes(scenario, dataset, seed, folder, self._options.workers)
        job = LoadJob(
            url=system.url,
            scenario=scenario,
            seed=seed,
            tapes=tapes,
            workers=self._options.workers,
            bind=self._options.master or "",
            join=self._options.master is not None,
        )
        watch = Watch(system.url, system.database)
        report, failure = self._load(job, LoadProcess(job, folder, system.ledger.environment()), watch, system)
        shutil.rmtree(folder, ignore_errors=True)
        result = result_of(job, hashes, report, failure)
        result.service, result.generator.steal, result.telemetry = watch.service, watch.steal, watch.stop()
        return result, report.samples if report else []

    def _load(
        self, job: LoadJob, process: LoadProcess, watch: Watch, system: UnderTest
    ) -> tuple[LoadReport | None, str]:
        """Let a load process do its job: its report, and how it failed."""
        # An interrupt ends the load process early and in good order; it still reports what it has.
        with self._interrupts.passed_to(process.interrupt), process:
            try:
                system.pin(process.pid)
                for line in process.lines():
                    if isinstance(line, Note):
                        self._display.step(line.text)
                    elif isinstance(line, Progress):
                        self._display.load(job.scenario.name, line)
                        watch.generator.note(line)
                    elif line.phase == "warm-up":
                        watch.start()
                    elif line.phase == "measure":
                        watch.begin_measure()
                    elif line.phase == "drain":
                        watch.stop()
                return process.report(), ""
            except LoadError as error:
                return None, f"{error}" + (f": {error.hint}" if error.hint else "")
            finally:
                watch.stop()


def _longest(scenario: Scenario) -> float:
    """Seconds within which a scenario is over, its load process's start and report included."""
    phases = scenario.phases
    return phases.longest_warmup + phases.measure + phases.drain + _SPARE


def _announcement(scenario: Scenario, attempt: int) -> str:
    arrivals, phases = scenario.arrivals, scenario.phases
    if isinstance(arrivals, ClosedArrivals):
        load_text = f"{arrivals.users} users"
    else:
        load_text = f"{'up to ' * bool(arrivals.stages)}{arrivals.rate:g}/s {arrivals.process}"
        load_text += " and as many no-ops" * scenario.floor
    warm = f"{phases.warmup:g} to {phases.longest_warmup:g} s"
    again = {1: "", 2: ", second attempt"}.get(attempt, ", last attempt")
    return f"{scenario.name}: {load_text}, {warm} warm-up, {phases.measure:g} s measured{again}"

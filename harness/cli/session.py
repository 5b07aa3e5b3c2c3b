"""One run, from the system coming up to the judged record: here the rooms of the house are put together."""

import contextlib
import http.client
import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import scenarios
from harness.cli.calming import calmed
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.cli.options import RunOptions
from harness.cli.recall import measure_recall
from harness.cli.settling import settle
from harness.cli.tapes import write_tapes
from harness.core.errors import LoadError, MembenchError, StackError
from harness.core.readings import GeneratorHealth
from harness.core.record import DataSet, RunRecord, ScenarioResult, System, save
from harness.core.recorder import merge_logs
from harness.core.scenario import ClosedArrivals, Scenario
from harness.core.targets import load_targets
from harness.corpus import Corpus, Dataset, DatasetBuilder, GeneratedCorpus, JsonlCorpus, NewMemory
from harness.judge.targets import judge, worth_repeating
from harness.load import micro
from harness.load.driver import LoadProcess, dismiss
from harness.load.job import LoadJob, LoadReport, Note, Progress
from harness.load.loader import BATCH, Loaded, load
from harness.load.pressure import Pressure, Wanted
from harness.load.sampling import Answered
from harness.stack.ledger import Ledger
from harness.stack.stack import Stack, clear_leftovers
from harness.telemetry.provenance import provenance
from harness.telemetry.watch import Watch

ATTEMPTS = 2
"""A phase that cannot be believed for a passing reason is repeated once."""


class Session:
    """Runs what the options ask for.

    Args:
        options: of the run.
        display: where progress goes.
        interrupts: told whether the user wants to stop.

    Attributes:
        record: the run's, complete or partial; always valid to save.
    """

    def __init__(self, options: RunOptions, display: Display, interrupts: Interrupts) -> None:
        self.options, self._display, self._interrupts = options, display, interrupts
        now = datetime.now(UTC)
        self.record = RunRecord(
            id=options.out.name,
            created_at=now.isoformat(timespec="seconds"),
            provenance=provenance(options.command),
            seed=options.seed,
            suite=options.suite,
            # What a killed run leaves behind says so: only the end takes it back.
            status="failed",
            failure="the run did not come to its end: it was killed",
            not_run=[scenario.name for scenario in options.scenarios],
        )
        self._now = now
        self._targets = load_targets(scenarios.TARGETS)

    def run(self) -> RunRecord:
        """Do everything. An interrupt or a failure ends it early and stands in the record, which is judged anyhow."""
        try:
            corpus = self._corpus()
            clear_leftovers(self._display.step)
            with self._system() as (url, ledger, database):
                dataset = self._load(url, corpus)
                for scenario in self.options.scenarios:
                    self.record.scenarios.append(self._measure(url, ledger, scenario, dataset, database))
                    self.record.not_run.remove(scenario.name)
                    # Should this process be killed, what it has measured so far is there.
                    save(self.record, self.options.out)
                    if self._interrupts.seen:
                        raise KeyboardInterrupt
                if self.options.master is not None:
                    dismiss(self.options.master, self.options.workers, ledger.environment())
                if self.options.micro:
                    self._display.step("micro-benchmarks of the service's parts")
                    self.record.micro = micro.run(
                        scenarios.MICRO, database, ledger.folder("micro"), ledger.environment()
                    )
            self.record.status, self.record.failure = "complete", ""
        except KeyboardInterrupt:
            self.record.status = "interrupted"
            self.record.failure = "interrupted by the user"
        except Exception as error:
            self.record.status = "failed"
            self.record.failure = f"{type(error).__name__}: {error}"
            if isinstance(error, MembenchError):
                self.record.failure = f"{error}" + (f" ({error.hint})" if error.hint else "")
            # What was measured before is worth keeping; without any the error speaks for itself.
            if not self.record.scenarios:
                raise
        finally:
            judge(self.record, self._targets)
        return self.record

    @contextlib.contextmanager
    def _system(self) -> Iterator[tuple[str, Ledger, str | None]]:
        """The system under test, up for the length of the block: the service's URL, what was started, the database."""
        if self.options.url is not None:
            url = self.options.url.rstrip("/")
            self.record.system = System(url=url, service=_service_name(url))
            with Ledger() as ledger, calmed(self.options, self.record, ledger, self._display.step) as self._pin:
                yield url, ledger, None
            return
        with Stack(self.options.postgres, say=self._display.step) as stack:
            postgres = stack.postgres
            self.record.system = System(
                url=stack.service.url,
                service=_service_name(stack.service.url),
                postgres=postgres.kind,
                postgres_version=postgres.version,
                pgvector_version=postgres.pgvector,
                settings=postgres.settings,
            )
            with calmed(self.options, self.record, stack.ledger, self._display.step, stack) as self._pin:
                yield stack.service.url, stack.ledger, postgres.url
            self._display.step("taking the system down")

    def _corpus(self) -> Corpus:
        options = self.options
        if options.corpus is not None:
            self._display.step(f"reading {options.corpus.name}")
            return JsonlCorpus(options.corpus, options.questions, seed=options.seed)
        # Ages are relative to a day, not to this second: two runs of a day load the same memories. An hour of slack
        # keeps the youngest from lying in the service's future.
        today = self._now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
        return GeneratedCorpus(options.memories, seed=options.seed, now=today)

    def _load(self, url: str, corpus: Corpus) -> Dataset:
        builder = DatasetBuilder(corpus)
        if not any(scenario.needs_data for scenario in self.options.scenarios):
            return builder.build()
        done = Loaded()

        def note(batch: Sequence[NewMemory], ids: list[str]) -> None:
            builder.add(batch, ids)
            done.count += len(batch)
            self._display.update(f"loading memories: {done.count:,} of {corpus.count:,}")

        self._display.step(f"loading {corpus.count:,} memories: {corpus.name}")
        loaded = load(url, corpus.batches(BATCH), note)
        self._display.step(
            f"loaded {loaded.count:,} memories in {loaded.seconds:.1f} s "
            f"({loaded.count / max(loaded.seconds, 1e-9):,.0f}/s)"
        )
        settle(url, self._display.step, self._display.update)
        dataset = builder.build()
        self.record.dataset = DataSet(
            source=corpus.description,
            fingerprint=corpus.fingerprint,
            memories={tier: len(ids) for tier, ids in dataset.ids.items()},
            deduplicated=loaded.deduplicated,
            load_seconds=loaded.seconds,
        )
        return dataset

    def _measure(
        self, url: str, ledger: Ledger, scenario: Scenario, dataset: Dataset, database: str | None
    ) -> ScenarioResult:
        """One scenario, repeated where its first figures cannot be believed for a reason that may pass."""
        because: list[str] = []
        wanted = self.options.pressure.get(scenario.name, Wanted())
        for attempt in range(1, ATTEMPTS + 1):
            self._display.step(_announcement(scenario, attempt))
            watch = Watch(url, database)
            with Pressure(wanted, _longest(scenario), ledger.environment()) as pressure:
                result, samples = self._attempt(url, ledger, scenario, dataset, attempt, watch)
            result.telemetry = watch.stop()
            result.pressure = pressure.said
            result.attempt, result.repeated_because = attempt, because
            because = worth_repeating(result, self._targets)
            # A lag that pressure made would come again with it.
            if not because or result.pressure or self._interrupts.seen:
                break
            if attempt < ATTEMPTS:
                self._display.step(f"{scenario.name}: {'; '.join(because)}; measuring it once more")
        if result.status == "complete":
            stop = threading.Event()
            # An interrupt ends this early, and what was measured before it is kept.
            with self._interrupts.passed_to(stop.set):
                measure_recall(url, result, samples, self._display.step, self._display.update, stop)
        return result

    def _attempt(
        self, url: str, ledger: Ledger, scenario: Scenario, dataset: Dataset, attempt: int, watch: Watch
    ) -> tuple[ScenarioResult, list[Answered]]:
        seed = self.options.seed + 1_000_000 * (attempt - 1)
        folder = ledger.folder(scenario.name)
        tapes, hashes = write_tapes(scenario, dataset, seed, folder)
        job = LoadJob(
            url=url,
            scenario=scenario,
            seed=seed,
            tapes=tapes,
            workers=self.options.workers,
            bind=self.options.master or "",
            join=self.options.master is not None,
        )
        failure, report = "", None
        process = LoadProcess(job, folder, ledger.environment())
        # An interrupt ends the load process early and in good order; it still reports what it has.
        with self._interrupts.passed_to(process.interrupt), process:
            try:
                self._pin(process.pid)
                for line in process.lines():
                    if isinstance(line, Note):
                        self._display.step(line.text)
                    elif isinstance(line, Progress):
                        self._display.load(scenario.name, line)
                        watch.generator.note(line)
                    elif line.phase == "warm-up":
                        watch.start()
                    elif line.phase == "measure":
                        watch.begin_measure()
                    elif line.phase == "drain":
                        watch.stop()
                report = process.report()
            except LoadError as error:
                failure = f"{error}" + (f": {error.hint}" if error.hint else "")
            finally:
                watch.stop()
        shutil.rmtree(folder, ignore_errors=True)
        result = _result(scenario, seed, hashes, report, failure, watch, self.options.workers)
        return result, report.samples if report else []


def _longest(scenario: Scenario) -> float:
    """Seconds within which a scenario is over, its load process's start and report included."""
    phases = scenario.phases
    return phases.longest_warmup + phases.measure + phases.drain + 60.0


def _result(
    scenario: Scenario,
    seed: int,
    hashes: dict[str, str],
    report: LoadReport | None,
    failure: str,
    watch: Watch,
    workers: int,
) -> ScenarioResult:
    if report is None or not report.started_at:
        failure = failure or (report.problem if report else "")
        return ScenarioResult(
            scenario=scenario,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=0.0,
            status="failed",
            seed=seed,
            tapes=hashes,
            operations=[],
            generator=GeneratorHealth(workers=workers, reported=0),
            service=watch.service,
            failure=failure,
        )
    failure = failure or report.problem
    return ScenarioResult(
        scenario=scenario,
        started_at=report.started_at,
        seconds=report.seconds,
        status="failed" if failure else "interrupted" if report.interrupted else "complete",
        seed=seed,
        tapes=hashes,
        operations=[merge_logs([log]) for log in report.operations],
        generator=GeneratorHealth(
            cpu=report.cpu,
            cpu_mean=report.cpu_mean,
            max_in_flight=report.max_in_flight,
            workers=report.workers,
            reported=report.reported,
            steal=watch.steal,
            max_rss_mib=round(report.max_rss_mib, 1),
            clock_shift=report.clock_shift,
            suspended=report.suspended,
        ),
        service=watch.service,
        failure=failure,
        warmup=report.warmup,
    )


def _service_name(url: str) -> str:
    """Name and version of a healthy service.

    Raises:
        StackError: nobody answers there, or not well.
    """
    try:
        with urllib.request.urlopen(f"{url}/api/v1/health", timeout=10) as answer:
            health = json.load(answer)
    except urllib.error.HTTPError as error:
        raise StackError(
            f"the service at {url} answers {error.code} on /api/v1/health", hint="nothing was measured"
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StackError(
            f"no memory service answers at {url}: {getattr(error, 'reason', error)}",
            hint="start one with 'membench up', or leave --url out",
        ) from error
    name = health.get("service", "memory service") if isinstance(health, dict) else "memory service"
    version = health.get("version", "") if isinstance(health, dict) else ""
    return f"{name} {version}".strip()


def _announcement(scenario: Scenario, attempt: int) -> str:
    arrivals, phases = scenario.arrivals, scenario.phases
    if isinstance(arrivals, ClosedArrivals):
        load_text = f"{arrivals.users} users"
    else:
        load_text = f"{'up to ' * bool(arrivals.stages)}{arrivals.rate:g}/s {arrivals.process}"
        load_text += " and as many no-ops" * scenario.floor
    again = ", second attempt" if attempt > 1 else ""
    return f"{scenario.name}: {load_text}, {phases.warmup:g} s warm-up, {phases.measure:g} s measured{again}"

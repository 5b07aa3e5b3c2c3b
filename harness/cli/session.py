"""One run, from the system coming up to the judged record: here the rooms of the house are put together."""

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import scenarios
from harness.cli.calming import calmed
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.cli.measuring import Measuring, UnderTest
from harness.cli.options import RunOptions
from harness.core.errors import MembenchError, StackError
from harness.core.record import DataSet, RunRecord, System, save
from harness.core.targets import load_targets
from harness.corpus import Corpus, Dataset, DatasetBuilder, GeneratedCorpus, JsonlCorpus, NewMemory
from harness.judge.targets import judge
from harness.load import micro
from harness.load.driver import dismiss
from harness.load.loader import BATCH, Loaded, load
from harness.stack.ledger import Ledger
from harness.stack.stack import Stack, clear_leftovers
from harness.telemetry.provenance import provenance
from harness.telemetry.settling import settle


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
        self._measuring = Measuring(options, display, interrupts, self._targets)

    def run(self) -> RunRecord:
        """Do everything. An interrupt or a failure ends it early and stands in the record, which is judged anyhow."""
        try:
            corpus = self._corpus()
            clear_leftovers(self._display.step)
            with self.system() as system, self._workers_let_go(system):
                dataset = self._load(system.url, corpus)
                for scenario in self.options.scenarios:
                    self.record.scenarios.append(self._measuring.measure(system, scenario, dataset))
                    self.record.not_run.remove(scenario.name)
                    # Should this process be killed, what it has measured so far is there.
                    save(self.record, self.options.out)
                    if self._interrupts.seen:
                        raise KeyboardInterrupt
                self._measure_spoilt_again(system, dataset)
                if self.options.micro:
                    self._display.step("micro-benchmarks of the service's parts")
                    ledger = system.ledger
                    self.record.micro = micro.run(
                        scenarios.MICRO, system.database, ledger.folder("micro"), ledger.environment()
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
    def system(self) -> Iterator[UnderTest]:
        """The system under test, up for the length of the block."""
        if self.options.url is not None:
            url = self.options.url.rstrip("/")
            self.record.system = System(url=url, service=_service_name(url))
            with Ledger() as ledger, calmed(self.options, self.record, ledger, self._display.step) as pin:
                yield UnderTest(url, ledger, None, pin)
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
            with calmed(self.options, self.record, stack.ledger, self._display.step, stack) as pin:
                yield UnderTest(stack.service.url, stack.ledger, postgres.url, pin)
            self._display.step("taking the system down")

    def _measure_spoilt_again(self, system: UnderTest, dataset: Dataset) -> None:
        """The last attempt at what could not be believed, when some time has passed."""
        for place, result in enumerate(self.record.scenarios):
            if because := self._measuring.doubts(result):
                self._display.step(f"{result.name}: {'; '.join(because)}; the last attempt")
                self.record.scenarios[place] = self._measuring.measure(system, result.scenario, dataset, result)
                save(self.record, self.options.out)
                if self._interrupts.seen:
                    raise KeyboardInterrupt

    @contextlib.contextmanager
    def _workers_let_go(self, system: UnderTest) -> Iterator[None]:
        """However it ends, workers on other hosts need not wait for more."""
        try:
            yield
        finally:
            if self.options.master is not None:
                dismiss(self.options.master, self.options.workers, system.ledger.environment())

    def _corpus(self) -> Corpus:
        options = self.options
        if options.corpus is not None:
            self._display.step(f"reading {options.corpus.name}")
            return JsonlCorpus(options.corpus, options.questions, seed=options.seed)
        return GeneratedCorpus.of_day(options.memories, seed=options.seed, moment=self._now)

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

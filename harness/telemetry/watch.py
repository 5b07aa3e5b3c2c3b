"""Watches everything beside the load while it runs: one thread a source, so that none waits for another."""

import threading
import time
from typing import Final, Protocol

from harness.core.readings import Relation, ServiceReadings, Statement, Telemetry
from harness.telemetry.generator import GeneratorNotes
from harness.telemetry.host import HostSource
from harness.telemetry.notes import Notes
from harness.telemetry.postgres import PostgresSource
from harness.telemetry.service import MetricsSource, PoolSource, service_readings

PATIENCE: Final = 2.0
"""Seconds that all sources together get to end; what hangs then is left behind."""


class Source(Protocol):
    """Something that is read again and again. All its methods run in one thread of its own; none may raise.

    Attributes:
        name: as a reader sees it.
        period: seconds between two readings.
    """

    name: str
    period: float
    notes: Notes

    def open(self) -> None:
        """Before the first reading."""
        ...

    def begin(self) -> None:
        """The measure phase begins."""
        ...

    def read(self) -> None:
        """One reading."""
        ...

    def close(self) -> None:
        """After the last."""
        ...


class _Reader:
    """One source's thread. It keeps to its period on the monotonic clock, and leaves out what it is too late for."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.spent = 0.0
        self._bell, self._measure, self._over = threading.Event(), threading.Event(), threading.Event()
        # A daemon: a source that hangs must not keep the program from ending.
        self.thread = threading.Thread(target=self._run, name=f"telemetry: {source.name}", daemon=True)

    def begin(self) -> None:
        self._measure.set()
        self._bell.set()

    def end(self) -> None:
        self._over.set()
        self._bell.set()

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:
            self.source.notes.lacks(f"readings of {self.source.name}: they failed ({type(error).__name__}: {error})")
        self.spent = time.thread_time()

    def _loop(self) -> None:
        source = self.source
        source.open()
        begun, due = False, time.monotonic()
        while not self._over.is_set():
            if self._measure.is_set() and not begun:
                begun = True
                source.begin()
            if time.monotonic() >= due:
                source.read()
                self.spent = time.thread_time()
                late = max(time.monotonic() - due, 0.0)
                due += source.period * (late // source.period + 1)
            self._bell.wait(max(due - time.monotonic(), 0.0))
            self._bell.clear()
        source.close()


class Watch:
    """Reads host, PostgreSQL and service from `start`, which belongs to the warm-up, to `stop`.

    It never raises for what it cannot read, and never waits for it longer than `PATIENCE`.

    Args:
        url: the service's root.
        database_url: of the PostgreSQL behind it; None where it is not known.

    Attributes:
        generator: takes what the load process tells of itself.
        service: after `stop`, what the service said of itself over the measure phase.
        steal: after `stop`, the share of CPU time that a hypervisor took meanwhile, 0 to 1; None when unknown.
    """

    def __init__(self, url: str, database_url: str | None = None) -> None:
        self.generator = GeneratorNotes()
        self.service = ServiceReadings()
        self.steal: float | None = None
        self._host, self._pool, self._metrics = HostSource(), PoolSource(url), MetricsSource(url)
        self._postgres = PostgresSource(database_url) if database_url is not None else None
        sources: list[Source] = [self._host, self._pool, self._metrics]
        self._readers = [_Reader(one) for one in [*sources, *([self._postgres] if self._postgres else [])]]
        self._origin: float | None = None
        self._telemetry: Telemetry | None = None

    def start(self) -> None:
        """The warm-up begins."""
        for reader in self._readers:
            reader.thread.start()

    def begin_measure(self, at: float | None = None) -> None:
        """The measure phase begins: second 0.

        Args:
            at: when it did, seconds of `time.monotonic`; now without it.
        """
        self._origin = time.monotonic() if at is None else at
        for reader in self._readers:
            reader.begin()

    def stop(self) -> Telemetry:
        """The measure phase is over. Safe to call twice, and without a start."""
        if self._telemetry is not None:
            return self._telemetry
        for reader in self._readers:
            reader.end()
        deadline = time.monotonic() + PATIENCE
        for reader in self._readers:
            if reader.thread.ident is not None:
                reader.thread.join(max(deadline - time.monotonic(), 0.0))
            if reader.thread.is_alive():
                reader.source.notes.lacks(f"the last readings of {reader.source.name}: it did not answer in time")
        self._telemetry = self._collected()
        return self._telemetry

    def _collected(self) -> Telemetry:
        begun = self._origin is not None
        origin = self._origin if self._origin is not None else time.monotonic()
        if begun:
            self.service = service_readings(self._pool, self._metrics, origin)
            self.steal = self._host.steal
        notes = [reader.source.notes for reader in self._readers] + [self.generator.notes]
        statements: list[Statement] = self._postgres.statements if self._postgres else []
        relations: list[Relation] = self._postgres.relations if self._postgres else []
        missing = [sentence for one in notes for sentence in list(one.missing)]
        if self._postgres is None:
            missing.append("PostgreSQL: its URL is not known, only that of the service")
        return Telemetry(
            series=[series for one in notes for series in one.series(origin)],
            events=sorted((event for one in notes for event in one.events(origin)), key=lambda event: event.second),
            statements=statements,
            relations=relations,
            missing=missing,
            seconds_spent=round(sum(reader.spent for reader in self._readers), 3),
        )

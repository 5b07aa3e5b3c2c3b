"""Both services while they are measured: started on clones of one database, or given by their URLs."""

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import psutil

from harness.core.errors import LoadError, StackError
from harness.core.gate import SIDES, Compared, Side, other
from harness.core.record import Setting
from harness.corpus import Corpus, Dataset, DatasetBuilder, NewMemory
from harness.gate.sources import Say, Source
from harness.load.loader import BATCH, load
from harness.stack import databases, embedded
from harness.stack.databases import Databases
from harness.stack.ledger import Ledger
from harness.stack.service import Service, healthy
from harness.telemetry.settling import idle, settle


class Services(Protocol):
    """Base's and head's service.

    Attributes:
        compared: what they are.
        settings: of their PostgreSQL.
        memories: that each holds at first.
    """

    compared: dict[Side, Compared]
    settings: list[Setting]
    memories: int

    def begin_round(self, first: Side) -> None:
        """Start anew, where that is possible; `first` the one, then the other."""
        ...

    def url(self, side: Side) -> str:
        """The service's root."""
        ...

    def dataset(self, side: Side) -> Dataset:
        """What it holds."""
        ...

    def cpu(self, side: Side) -> float | None:
        """Seconds of CPU that its processes have used; None when they are not to be seen from here."""
        ...

    def alone(self, side: Side) -> AbstractContextManager[None]:
        """Within the block the other side does nothing, as far as that can be had."""
        ...

    def rest(self) -> None:
        """Let both do what they have left for later, at the same time."""
        ...


class Cloned:
    """Services of our own, on clones of one database that base has filled.

    Args:
        sources: of both sides.
        server: URL of the PostgreSQL server.
        settings: of it.
        ledger: of the gate.
        corpus: to fill with.
        say: told what is going on.
    """

    def __init__(
        self,
        sources: dict[Side, Source],
        server: str,
        settings: Sequence[Setting],
        ledger: Ledger,
        corpus: Corpus,
        say: Say,
    ) -> None:
        self._sources, self._corpus, self._say = sources, corpus, say
        self._databases = Databases(server, ledger)
        self.compared = {side: source.compared for side, source in sources.items()}
        self.settings, self.memories = list(settings), 0
        self._running: dict[Side, tuple[Service, str]] = {}
        self._datasets: dict[Side, Dataset] = {}
        self._template: str | None = None

    def prepare(self) -> None:
        """Have base fill a database, from which both sides' are cloned.

        Raises:
            StackError: base does not come up.
            LoadError: it does not take the data.
        """
        self._template = self._databases.make()
        self._say(f"base fills a database with {self._corpus.count:,} memories")
        with _named("base"):
            service = self._sources["base"].start(embedded.free_port(), self._template)
            try:
                dataset = fill(service.url, self._corpus)
            finally:
                service.stop()
        self.memories = dataset.count
        if databases.is_empty(self._template):
            # It keeps its memories elsewhere: then each service has to be filled by itself.
            self._template = None
        else:
            databases.vacuum(self._template)
            self._datasets = dict.fromkeys(SIDES, dataset)

    def begin_round(self, first: Side) -> None:
        """See `Services`."""
        self.stop()
        for side in (first, other(first)):
            url = self._databases.make(self._template)
            with _named(side):
                service = self._sources[side].start(embedded.free_port(), url)
                self._running[side] = service, url
                if self._template is None:
                    self._datasets[side] = fill(service.url, self._corpus)
            compared = self.compared[side]
            compared.service, compared.schema = name_of(service.url), databases.schema(url)

    @contextlib.contextmanager
    def alone(self, side: Side) -> Iterator[None]:
        """The other side's processes stand still, so that nothing it has left to do falls into this one's block."""
        held = processes_of(self._running[other(side)][0].pid)
        _each(held, psutil.Process.suspend)
        try:
            yield
        finally:
            _each(held, psutil.Process.resume)

    def rest(self) -> None:
        """See `Services`."""
        for service, _ in self._running.values():
            idle(service.url)

    def stop(self) -> None:
        """End both services and drop their databases."""
        for service, url in self._running.values():
            service.stop()
            self._databases.drop(url)
        self._running.clear()

    def url(self, side: Side) -> str:
        """See `Services`."""
        return self._running[side][0].url

    def dataset(self, side: Side) -> Dataset:
        """See `Services`."""
        return self._datasets[side]

    def cpu(self, side: Side) -> float | None:
        """See `Services`."""
        return cpu_of(self._running[side][0].pid)


class Given:
    """Services that are there already, and are filled once.

    Args:
        urls: their roots.
        corpus: to fill with.
        say: told what is going on.
    """

    def __init__(self, urls: dict[Side, str], corpus: Corpus, say: Say) -> None:
        self._urls, self._corpus, self._say = urls, corpus, say
        self.compared = {side: Compared(what=url) for side, url in urls.items()}
        self.settings: list[Setting] = []
        self.memories = corpus.count
        self._datasets: dict[Side, Dataset] = {}

    def begin_round(self, first: Side) -> None:
        """Fill them, the first time."""
        for side, url in self._urls.items():
            if side not in self._datasets:
                with _named(side):
                    if not healthy(url):
                        raise StackError(f"no memory service answers at {url}", hint="start it, then the gate")
                    self.compared[side].service = name_of(url)
                    self._say(f"filling {side} with {self._corpus.count:,} memories")
                    self._datasets[side] = fill(url, self._corpus)

    def url(self, side: Side) -> str:
        """See `Services`."""
        return self._urls[side]

    def dataset(self, side: Side) -> Dataset:
        """See `Services`."""
        return self._datasets[side]

    def cpu(self, side: Side) -> float | None:
        """Unknown."""
        return None

    @contextlib.contextmanager
    def alone(self, side: Side) -> Iterator[None]:
        """Not ours to hold: what the other has left to do is waited for."""
        self.rest()
        yield

    def rest(self) -> None:
        """See `Services`."""
        for url in self._urls.values():
            idle(url)


def fill(url: str, corpus: Corpus) -> Dataset:
    """Load a corpus into a service, and wait until it has indexed it."""
    builder = DatasetBuilder(corpus)

    def note(batch: Sequence[NewMemory], ids: list[str]) -> None:
        builder.add(batch, ids)

    load(url, corpus.batches(BATCH), note)
    settle(url, lambda text: None, lambda text: None)
    return builder.build()


def name_of(url: str) -> str:
    """Name and version that a service's health endpoint tells; empty where it tells none."""
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/api/v1/health", timeout=10) as answer:
        health = json.load(answer)
        return f"{health.get('service', '')} {health.get('version', '')}".strip()
    return ""


def cpu_of(pid: int) -> float | None:
    """Seconds of CPU that a process and its descendants have used, those that have ended included."""
    total, seen = 0.0, False
    for one in processes_of(pid):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
            seen = True
    return total if seen else None


def processes_of(pid: int) -> list[psutil.Process]:
    """A process and its descendants; none where it is gone."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _each(found: list[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    for one in found:
        with contextlib.suppress(psutil.Error):
            do(one)


@contextlib.contextmanager
def _named(side: Side) -> Iterator[None]:
    """Errors within the block say whose they are."""
    try:
        yield
    except (StackError, LoadError) as error:
        raise type(error)(f"{side}: {error}", hint=error.hint) from error

"""The whole system under test, up and down."""

import asyncio
from collections.abc import Callable
from typing import Self

import psutil

from harness.core.errors import StackError
from harness.core.record import Setting
from harness.stack import container, embedded, external, ledger, service, tuning
from harness.stack.postgres import Postgres, Say, inspect


class Server:
    """PostgreSQL alone. A context manager that leaves nothing behind, however it ends.

    Args:
        postgres: auto, container, embedded, or the URL of a server.
        services: how many services will have a connection pool on it.
        autovacuum: whether a server that is ours cleans up by itself.
        say: told what is going on.

    Attributes:
        postgres: the server, once entered.
        ledger: of everything that is started.
    """

    postgres: Postgres

    def __init__(
        self, postgres: str = "auto", *, services: int = 1, autovacuum: bool = True, say: Say = lambda text: None
    ) -> None:
        self._wanted, self._services, self._say = postgres, services, say
        self._more = [] if autovacuum else [tuning.NO_AUTOVACUUM]
        self._undo: list[Callable[[], None]] = []
        self.ledger = ledger.Ledger()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def admin_url(self) -> str:
        """Of a database on the server from which others can be made."""
        return self._wanted if self.postgres.kind == "external" else self.postgres.url

    def close(self) -> None:
        """Take everything down, the last first."""
        try:
            while self._undo:
                self._undo.pop()()
        finally:
            # What an interrupt kept from being registered, or from ending, above still stands in the ledger.
            _clear(self.ledger.contents)
            self.ledger.close()

    def _start(self) -> None:
        self.postgres = self._start_postgres()
        self._undo.append(self.postgres.stop)
        asyncio.run(inspect(self.postgres))

    def _start_postgres(self) -> Postgres:
        settings = [*tuned(self._services), *self._more]
        match self._wanted:
            case "embedded":
                return embedded.start(settings, self.ledger, self._say)
            case "container":
                return container.start(settings, self.ledger, self._say)
            case "auto":
                if container.engine_answers():
                    try:
                        return container.start(settings, self.ledger, self._say)
                    except StackError as error:
                        self._say(f"{error}; taking the embedded PostgreSQL instead")
                return embedded.start(settings, self.ledger, self._say)
            case url:
                return external.start(url, self.ledger, self._say)


class Stack(Server):
    """PostgreSQL and the reference service.

    Args:
        postgres: auto, container, embedded, or the URL of a server.
        port: of the service; None takes a free one.
        say: told what is going on.

    Attributes:
        service: the service, once entered.
    """

    service: service.Service

    def __init__(self, postgres: str = "auto", *, port: int | None = None, say: Say = lambda text: None) -> None:
        super().__init__(postgres, say=say)
        self._port = port

    def _start(self) -> None:
        super()._start()
        port = self._port if self._port is not None else embedded.free_port()
        self.service = service.start(
            service.reference(port), port, self.ledger, self._say, environment=service.using(self.postgres.url)
        )
        self._undo.append(self.service.stop)


def tuned(services: int = 1) -> list[Setting]:
    """The settings for this machine."""
    machine = tuning.Machine(psutil.virtual_memory().total, psutil.cpu_count() or 1)
    return tuning.settings(machine, service.POOL_SIZE * services)


def clear_leftovers(say: Say) -> None:
    """Take down what runs that were killed have left on this machine."""
    for path, contents in ledger.leftovers():
        ended = _clear(contents)
        ledger.forget(path)
        say(f"cleared what a killed run had left behind ({ended} processes, its files)")


def _clear(contents: ledger.Contents) -> int:
    """Take down everything that a ledger names; returns how many processes still lived."""
    ended = ledger.end_processes(contents)
    for name in contents.containers:
        container.remove(name)
    for url, name in contents.databases:
        external.drop(url, name)
    ledger.delete_folder(contents)
    return ended

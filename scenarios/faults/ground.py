"""Where faults are planted: the service as it is about to be put together, and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from reference_impl import server, startup
from reference_impl.api.router import Handler, Router
from reference_impl.service import Service
from reference_impl.settings import Settings
from scenarios.faults.dial import Dial
from scenarios.faults.pause import Pauses


def wrap(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Puts what `wrapper` makes of an attribute in its place."""
    setattr(owner, name, wrapper(getattr(owner, name)))


class Ground:
    """What of the service faults may change.

    Args:
        settings: of the process.
        dial: values of the faults.

    Attributes:
        settings: may be replaced.
        pauses: for exact sleeps.
    """

    def __init__(self, settings: Settings, dial: Dial) -> None:
        self.settings = settings
        self.dial = dial
        self.pauses = Pauses()
        self._statements: list[str] = []
        self._parts: list[Callable[[Service], None]] = []
        self._handlers: list[tuple[str, Callable[[Handler, Service], Handler]]] = []

    def migrated(self, sql: str) -> None:
        """Has a statement executed after the migrations, before the service connects."""
        self._statements.append(sql)

    def parts(self, change: Callable[[Service], None]) -> None:
        """Has the started service changed before it listens."""
        self._parts.append(change)

    def handler(self, operation: str, change: Callable[[Handler, Service], Handler]) -> None:
        """Has an operation's handler replaced; it still lies within the server's time."""
        self._handlers.append((operation, change))

    def run(self) -> int:
        """Runs the service; returns its exit status."""
        wrap(server, "migrate", self._migrating)
        wrap(server, "router", self._routing)
        return startup.run(self.settings)

    def _migrating(self, migrate: Callable[..., Any]) -> Callable[..., Any]:
        async def migrated(url: str, dimension: int) -> None:
            await migrate(url, dimension)
            connection = await asyncpg.connect(url, timeout=10)
            try:
                for statement in self._statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        return migrated

    def _routing(self, router: Callable[..., Router]) -> Callable[..., Router]:
        def routed(service: Service, locked: bool = False) -> Router:
            for change in self._parts:
                change(service)
            routes = router(service, locked).routes
            for operation, wrapped in self._handlers:
                routes = [
                    route._replace(handler=wrapped(route.handler, service)) if route.operation == operation else route
                    for route in routes
                ]
            return Router(routes)

        return routed

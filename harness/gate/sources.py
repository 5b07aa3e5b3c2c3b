"""Where the two services come from: a revision with its environment, a command, or a URL."""

from collections.abc import Callable
from typing import Protocol

from harness.core.gate import Compared
from harness.stack import service
from harness.stack.checkout import Checkout
from harness.stack.ledger import Ledger
from harness.stack.service import Service

Say = Callable[[str], None]


class Source(Protocol):
    """Something that can be started again and again."""

    compared: Compared

    def start(self, port: int, database_url: str) -> Service:
        """Start it on a port, with a database of its own.

        Raises:
            StackError: it did not come up.
        """
        ...


class Revision:
    """The reference service of one revision of this repository.

    Args:
        what: as the user named it.
        checkout: its code and environment.
        ledger: of the gate.
    """

    def __init__(self, what: str, checkout: Checkout, ledger: Ledger) -> None:
        self.checkout, self._ledger = checkout, ledger
        self.compared = Compared(
            what=what,
            revision=checkout.revision,
            python=checkout.python_version,
            environment=checkout.environment,
        )

    def start(self, port: int, database_url: str) -> Service:
        """See `Source`."""
        checkout = self.checkout
        return service.start(
            service.reference(port, checkout.python),
            port,
            self._ledger,
            _silent,
            environment={**service.using(database_url), "PYTHONPATH": str(checkout.root)},
            cwd=checkout.root,
            name=self.compared.what,
        )


class Command:
    """Anybody's service, by the command that starts it.

    Args:
        text: the command line, with {port} and perhaps {database_url} in it.
        ledger: of the gate.
    """

    def __init__(self, text: str, ledger: Ledger) -> None:
        self._text, self._ledger = text, ledger
        self.compared = Compared(what=text)

    def start(self, port: int, database_url: str) -> Service:
        """See `Source`."""
        return service.start(
            service.command_of(self._text, port, database_url),
            port,
            self._ledger,
            _silent,
            environment=service.using(database_url),
            name=self._text,
        )


def _silent(text: str) -> None:
    """Services are started many times over: nobody wants to read each."""

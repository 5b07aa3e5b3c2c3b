"""Ctrl-C and SIGTERM: the first ends the run in good order, further ones do not disturb that."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns the first SIGINT or SIGTERM into KeyboardInterrupt, and keeps later ones from breaking the clean-up.

    Attributes:
        seen: whether one came.
    """

    def __init__(self) -> None:
        self.seen = False
        self._instead: Callable[[], None] | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.seen:
            return
        self.seen = True
        if self._instead is None:
            raise KeyboardInterrupt
        self._instead()

    @contextmanager
    def passed_to(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block a signal calls this instead of raising."""
        self._instead = callback
        try:
            yield
        finally:
            self._instead = None

    @contextmanager
    def installed(self) -> Iterator["Interrupts"]:
        """Handle both signals within the block."""
        before = {number: signal.signal(number, self.handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

"""The clock that everything timed is given: monotonic nanoseconds, real or virtual."""

from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in integer nanoseconds, and a way to wait on it."""

    def now(self) -> int:
        """The time in nanoseconds since an arbitrary epoch."""
        ...

    def wait_until(self, deadline: int) -> None:
        """Return at `deadline` (nanoseconds) or as soon after it as the clock can; at once if it has passed."""
        ...


class VirtualClock:
    """Time that moves only when it is told to: tests run in it without waiting.

    `oversleep` nanoseconds are added to every wait, to play a generator that lags.
    """

    def __init__(self, start: int = 0, *, oversleep: int = 0) -> None:
        self.time = start
        self.oversleep = oversleep

    def now(self) -> int:
        """The virtual time, nanoseconds."""
        return self.time

    def wait_until(self, deadline: int) -> None:
        """Jump to `deadline` (plus the oversleep), never back."""
        if deadline > self.time:
            self.time = deadline + self.oversleep

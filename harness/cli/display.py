"""What the user sees while a run is under way: one live line on a terminal, a line now and then in a log."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from harness.load.job import Progress

LOG_EVERY = 5.0
"""Seconds between two progress lines where the output is no terminal."""


class Display:
    """Progress of a run on standard error, so that standard output stays for results.

    Args:
        console: where to write; whether it is a terminal decides the form.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._last = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, text: str) -> None:
        """Something worth a line of its own."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {text}", highlight=False, soft_wrap=True)
        self._last = time.monotonic()

    def update(self, text: str) -> None:
        """How far the present step is."""
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._last >= LOG_EVERY:
            self.step(text)

    def load(self, scenario: str, progress: Progress) -> None:
        """How the load goes."""
        p99 = "-" if progress.p99_us is None else f"{progress.p99_us / 1e3:.1f} ms"
        self.update(
            f"{scenario}: {progress.phase} {progress.elapsed:.0f}/{progress.total:.0f} s, {progress.rate:.0f}/s, "
            f"P99 {p99}, {progress.in_flight} in flight, {progress.errors} errors, {progress.skipped} skipped"
        )

"""What the generator tells of itself each second."""

from typing import Protocol

from harness.telemetry.notes import Notes


class Telling(Protocol):
    """A line of progress: of one load process, or the sum of several.

    Attributes:
        rate: successful answers in the last second.
        skipped: requests not sent so far.
        in_flight: requests without an answer now.
        cpu: share of one core used in the last second; the highest of several processes.
        rss_mib: memory held now, MiB; likewise.
    """

    @property
    def rate(self) -> float: ...  # noqa: D102
    @property
    def skipped(self) -> int: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102
    @property
    def cpu(self) -> float: ...  # noqa: D102
    @property
    def rss_mib(self) -> float: ...  # noqa: D102


class GeneratorNotes:
    """Series of the generator. Call `note` with each line of progress as it comes."""

    def __init__(self) -> None:
        self.notes = Notes("generator")

    def note(self, line: Telling) -> None:
        """One line of progress."""
        self.notes.gauge("CPU of the generator", "%", 100 * line.cpu)
        self.notes.gauge("memory", "MiB", line.rss_mib)
        self.notes.gauge("answers", "1/s", line.rate)
        self.notes.gauge("requests in flight", "", line.in_flight)
        self.notes.counter("requests skipped", "1/s", line.skipped)

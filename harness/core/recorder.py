"""What happened to each request: four clocks, kept raw while load runs and folded into histograms after it."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.histogram import Histogram, merged

CLOCKS: Final = ("response", "service", "lag", "server")
"""The four clocks of every request, microseconds.

response: end - intended start, what a user feels. service: end - actual send, what the server did, seen from the
client. lag: actual send - intended start, what the generator did. server: what the service says of itself in its
`Server-Timing` header.
"""
NO_SERVER_TIME: Final = -1.0
UNKNOWN: Final = 2**62
"""Nanoseconds: a time that is not known yet, and later than all that are."""
MORE_ROOM: Final = 4096
"""Requests by which a recorder grows that got more than it has room for."""
LATE_NS: Final = 50_000_000
"""Nanoseconds after its time from which a request that is skipped counts as late by the generator's fault."""


class Interval(msgspec.Struct, omit_defaults=True):
    """One second of one operation.

    Attributes:
        second: whole seconds since the measure phase began; negative during warm-up.
        completed: successful answers that *ended* in this second, whenever they were due.
        failed: failed ones that ended in this second.
        histograms: per clock, the encoded histogram of the successful requests *due* in this second.
    """

    second: int
    completed: int = 0
    failed: int = 0
    histograms: dict[str, str] = {}


class Tally(msgspec.Struct):
    """What became of the requests of one operation that were due in the measure phase.

    sent = ok + error + censored holds, or the recorder lost something. Of the skipped, `skipped_late` came to their
    turn so late that the generator, not the service, may have filled the cap.
    """

    planned: int = 0
    sent: int = 0
    ok: int = 0
    error: int = 0
    skipped: int = 0
    skipped_late: int = 0
    censored: int = 0
    out_of_range: int = 0
    without_server_clock: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """The sum, field by field."""
        return Tally(*(getattr(self, f) + getattr(other, f) for f in self.__struct_fields__))


class OperationLog(msgspec.Struct):
    """Everything recorded of one operation.

    Attributes:
        tally: counts of the measure phase.
        errors: how often each kind of failure occurred in the measure phase.
        intervals: warm-up and measure phase second by second, ascending.
    """

    name: str
    tally: Tally
    errors: dict[str, int]
    intervals: list[Interval]

    def histogram(self, clock: str) -> Histogram:
        """The measure phase's histogram of one clock, merged from its seconds."""
        return merged(
            Histogram.decode(interval.histograms[clock])
            for interval in self.intervals
            if interval.second >= 0 and clock in interval.histograms
        )


def merge_logs(logs: Sequence[OperationLog]) -> OperationLog:
    """One log of an operation that several workers ran: counts add, histograms merge second by second."""
    seconds: dict[int, list[Interval]] = {}
    tally, errors = Tally(), Counter[str]()
    for log in logs:
        tally = tally.plus(log.tally)
        errors.update(log.errors)
        for interval in log.intervals:
            seconds.setdefault(interval.second, []).append(interval)
    return OperationLog(logs[0].name, tally, dict(errors), [_merge(seconds[s]) for s in sorted(seconds)])


def _merge(same_second: list[Interval]) -> Interval:
    histograms = {}
    for clock in CLOCKS:
        parts = [part.histograms[clock] for part in same_second if clock in part.histograms]
        if parts:
            histograms[clock] = (
                parts[0] if len(parts) == 1 else merged(Histogram.decode(part) for part in parts).encode()
            )
    return Interval(
        second=same_second[0].second,
        completed=sum(part.completed for part in same_second),
        failed=sum(part.failed for part in same_second),
        histograms=histograms,
    )


class OperationRecorder:
    """Takes the stamps of one operation's requests.

    Recording writes five numbers into flat arrays and does nothing else, so that it costs the same for every
    request and never pauses the generator. The arrays have their final size from the start (33 bytes a request: 10 MB
    for 300 s at 1,000/s), so that the generator's memory stands still however long it runs. Folding into histograms
    while load runs would need less, but takes 2 ms per operation and second out of the very process that is to be
    on time.

    Args:
        name: the operation.
        measure: start and end of the measure phase, nanoseconds on the clock of the stamps, where they are known
            from the start. A request belongs to the phase that it was *due* in.
        room: how many requests there may be; beyond that the arrays grow as they must.
    """

    def __init__(self, name: str, measure: tuple[int, int] = (UNKNOWN, UNKNOWN), *, room: int = 0) -> None:
        self.name = name
        self.measure_start, self.measure_end = measure
        self.planned = self.sent = self.skipped = self.skipped_late = self.finished = 0
        # Zeros are written, so that the pages are there before load is.
        self._intended, self._sent, self._ended = (array("q", bytes(8 * room)) for _ in range(3))
        self._server, self._ok = array("d", bytes(8 * room)), array("b", bytes(room))
        self._columns = (self._intended, self._sent, self._ended, self._server, self._ok)
        self._room, self._rows = room, 0
        self.error_counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._rows

    def _grow(self) -> None:
        for column in self._columns:
            column.frombytes(bytes(column.itemsize * MORE_ROOM))
        self._room += MORE_ROOM

    def responses_since(self, index: int) -> list[float]:
        """Response times of the successful requests recorded after the first `index`, microseconds."""
        new = slice(index, self._rows)
        rows = zip(self._intended[new], self._ended[new], self._ok[new], strict=True)
        return [(ended - intended) / 1e3 for intended, ended, ok in rows if ok]

    def in_measure(self, intended: int) -> bool:
        """Whether a request due at `intended` (nanoseconds) belongs to the measure phase."""
        return self.measure_start <= intended < self.measure_end

    def begin_measure(self, start: int, end: int) -> None:
        """The measure phase will last from `start` to `end` (nanoseconds); nothing due from `start` on was sent yet."""
        self.measure_start, self.measure_end = start, end

    def in_warmup(self) -> int:
        """How many of the requests recorded so far were due before the measure phase."""
        return int(np.count_nonzero(np.asarray(self._intended[: self._rows]) < self.measure_start))

    def plan(self, intended: int) -> None:
        """Count a request as due."""
        self.planned += self.in_measure(intended)

    def send(self, intended: int) -> None:
        """Count a request as sent. Every sent request must end in `record`, or it counts as censored."""
        self.sent += self.in_measure(intended)

    def skip(self, intended: int, now: int) -> None:
        """Count a request that was due but, at `now` (nanoseconds), not sent, since too many were in flight."""
        if self.in_measure(intended):
            self.skipped += 1
            self.skipped_late += now - intended > LATE_NS

    def record(
        self, intended: int, sent: int, ended: int, server: float = NO_SERVER_TIME, error: str | None = None
    ) -> None:
        """Keep one finished request.

        Args:
            intended: when it was due, nanoseconds.
            sent: when it was sent, nanoseconds.
            ended: when its answer was complete, nanoseconds.
            server: the service's own time for it, microseconds; NO_SERVER_TIME when it gave none.
            error: what went wrong, in a few words that group equal failures; None for success.
        """
        row = self._rows
        if row == self._room:
            self._grow()
        self._intended[row] = intended
        self._sent[row] = sent
        self._ended[row] = ended
        self._server[row] = server
        self._ok[row] = error is None
        self._rows = row + 1
        if self.in_measure(intended):
            self.finished += 1
            if error is not None:
                self.error_counts[error] += 1

    def log(self) -> OperationLog:
        """Fold everything recorded so far into histograms per second and clock."""
        columns = _Columns(self)
        ok_in_measure = int((columns.ok & columns.in_measure).sum())
        intervals = list(columns.intervals())
        tally = Tally(
            planned=self.planned,
            sent=self.sent,
            ok=ok_in_measure,
            error=self.finished - ok_in_measure,
            skipped=self.skipped,
            skipped_late=self.skipped_late,
            censored=self.sent - self.finished,
            out_of_range=columns.out_of_range,
            without_server_clock=int((columns.ok & columns.in_measure & (columns.server == NO_SERVER_TIME)).sum()),
        )
        return OperationLog(self.name, tally, dict(self.error_counts), intervals)


class _Columns:
    """The recorded arrays as numpy columns, and their folding."""

    def __init__(self, recorder: OperationRecorder) -> None:
        self.start = recorder.measure_start
        rows = len(recorder)
        self.intended = np.array(recorder._intended, dtype=np.int64)[:rows]
        self.sent = np.array(recorder._sent, dtype=np.int64)[:rows]
        self.ended = np.array(recorder._ended, dtype=np.int64)[:rows]
        self.server = np.array(recorder._server, dtype=np.float64)[:rows]
        self.ok = np.array(recorder._ok, dtype=bool)[:rows]
        self.before_end = self.intended < recorder.measure_end
        self.in_measure = (self.intended >= self.start) & self.before_end
        self.out_of_range = 0

    def intervals(self) -> Iterator[Interval]:
        due = (self.intended - self.start) // 1_000_000_000
        ended = (self.ended - self.start) // 1_000_000_000
        for second in np.union1d(due, ended):
            chosen = self.ok & (due == second) & self.before_end
            yield Interval(
                second=int(second),
                completed=int((self.ok & (ended == second)).sum()),
                failed=int((~self.ok & (ended == second)).sum()),
                histograms=dict(self._histograms(chosen)),
            )

    def _histograms(self, chosen: npt.NDArray[np.bool_]) -> Iterator[tuple[str, str]]:
        intended, sent, ended = self.intended[chosen], self.sent[chosen], self.ended[chosen]
        server = self.server[chosen]
        values = {
            "response": (ended - intended) / 1e3,
            "service": (ended - sent) / 1e3,
            "lag": (sent - intended) / 1e3,
            "server": server[server != NO_SERVER_TIME],
        }
        for clock in CLOCKS:
            if len(values[clock]):
                histogram = Histogram()
                histogram.record(values[clock])
                self.out_of_range += histogram.out_of_range
                yield clock, histogram.encode()

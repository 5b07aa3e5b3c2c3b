"""What was read beside the load: of the host, of PostgreSQL, of the service, and of the generator itself.

All times are seconds since the measure phase began, on one axis with the latencies; negative during warm-up.
"""

from typing import Literal

import msgspec
from msgspec import Struct

Group = Literal["host", "postgres", "service", "generator"]


class Sample(Struct, array_like=True):
    """One reading of a gauge: seconds since the measure phase began, and the value."""

    second: float
    value: float


class Series(Struct):
    """One quantity over time.

    Attributes:
        group: whose it is.
        name: what it is, as a reader sees it: "core 0", "WAL written".
        unit: "%", "MiB", "MiB/s", "1/s", "ms" or "" for a count.
        values: one each second, fewer where a reading failed.
    """

    group: Group
    name: str
    unit: str
    values: list[Sample]


class Event(Struct):
    """Something that began and ended: a wait for a lock, a checkpoint.

    Attributes:
        second: when it began, where that is told, else when it was first seen.
        seconds: until it was last seen: it lasted that long at least.
        text: what happened, in a sentence's words; with the statements and processes that took part.
        kind: "lock", "checkpoint", "autovacuum".
    """

    group: Group
    second: float
    seconds: float
    text: str
    kind: str = ""


class Statement(Struct):
    """What one statement cost over the measure phase, as pg_stat_statements counted it.

    Attributes:
        text: normalised, shortened.
        calls: how often it ran.
        total_ms: time in it.
        rows: that it returned or changed.
        blocks_hit: pages found in shared buffers.
        blocks_read: pages that were not.
        wal_bytes: written to the log by it.
    """

    text: str
    calls: int
    total_ms: float
    rows: int = 0
    blocks_hit: int = 0
    blocks_read: int = 0
    wal_bytes: int = 0


class Relation(Struct):
    """A table or index at the end of the measure phase, and what was done to it during it.

    Attributes:
        name: of the relation; `table` is that of the table that an index belongs to, empty for a table.
        mib: its size.
        scans: index scans, or sequential scans of a table, during the phase.
        live: rows (tables).
        dead: rows that wait for vacuum (tables): its bloat.
    """

    name: str
    table: str = ""
    mib: float = 0.0
    scans: int = 0
    live: int = 0
    dead: int = 0


class Telemetry(Struct):
    """Everything read beside one scenario.

    Attributes:
        missing: what could not be read, and why, in a sentence each.
        seconds_spent: CPU time that the reading itself took.
    """

    series: list[Series] = []
    events: list[Event] = []
    statements: list[Statement] = []
    relations: list[Relation] = []
    missing: list[str] = []
    seconds_spent: float = 0.0

    def find(self, group: Group, name: str) -> Series | None:
        """One series; None where it was not read."""
        return next((one for one in self.series if (one.group, one.name) == (group, name)), None)


class ServiceReadings(Struct):
    """What the service said of itself over the measure phase.

    Attributes:
        pool_utilization: busy / max of its connection pool, 0 to 1, each half second; empty when it does not tell.
        pool_missed: readings of it that got no answer in time.
        cache_hits: cache hits per cache during the phase.
        cache_misses: misses likewise.
        compression_ratio: original / stored bytes of the cold tier; None when it does not tell.
    """

    pool_utilization: list[Sample] = []
    pool_missed: int = 0
    cache_hits: dict[str, int] = {}
    cache_misses: dict[str, int] = {}
    compression_ratio: float | None = None


class GeneratorHealth(Struct):
    """What the generator knows of itself over the measure phase.

    Attributes:
        workers: processes asked for.
        reported: processes whose last report came.
        cpu: highest share of one core that a worker used in any second, 0 to 1; Python uses one at most.
        cpu_mean: its mean over the phase.
        max_in_flight: the most requests that waited for an answer at once.
        steal: share of CPU time that the hypervisor took from this machine, 0 to 1; None when unknown.
        max_rss_mib: the most memory that a worker held.
        clock_shift: seconds by which the wall clock and the monotonic clock drifted apart over the phase.
        suspended: seconds that the host slept during the phase, its monotonic clock standing still.
    """

    workers: int = 1
    reported: int = 1
    cpu: float = 0.0
    cpu_mean: float = 0.0
    max_in_flight: int = 0
    steal: float | None = None
    max_rss_mib: float = 0.0
    clock_shift: float = 0.0
    suspended: float = 0.0


class WarmUp(Struct):
    """What came before the measure phase, and why that began when it did.

    Attributes:
        seconds: how long it lasted.
        steady: whether the series had settled; if not, it was measured all the same.
        test: how that was decided, in words, with its figure.
        dropped: requests recorded that were due in it, which no figure counts.
    """

    seconds: float
    steady: bool
    test: str
    dropped: int


class Recall(Struct):
    """How many of the true nearest a search found while load ran: recall@k over a sample of the searches.

    Attributes:
        k: results asked for on average.
        queries: in the sample.
        mean: 0 to 1.
        low: lower end of its 95% interval.
        high: upper end.
        unanswered: sampled searches that could not be answered exactly afterwards.
    """

    k: float
    queries: int
    mean: float
    low: float
    high: float
    unanswered: int = 0


class WorstSecond(Struct):
    """The second in which users waited longest, and what else happened then.

    Attributes:
        second: whole seconds since the measure phase began, by when requests were due.
        operation: the one that waited longest.
        longest_us: its longest response in that second, microseconds.
        usual_us: the median over the phase of that per-second maximum.
        coincided: what was unusual then, each in a sentence, the most telling first; empty when nothing was.
    """

    second: int
    operation: str
    longest_us: float
    usual_us: float
    coincided: list[str] = msgspec.field(default_factory=list)


class Drift(Struct):
    """How a quantity moved over a phase (Theil-Sen slope with its 95% interval).

    Attributes:
        name: of the quantity.
        unit: of `start`; the slopes are in this unit per minute.
        start: its median in the first tenth.
        per_minute: the slope.
        low: lower end of the slope's interval.
        high: upper end.
    """

    name: str
    unit: str
    start: float
    per_minute: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out a quantity that stands still."""
        return self.low > 0 or self.high < 0

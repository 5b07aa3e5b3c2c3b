"""What a load process is told, and what it tells: the files and lines between it and its driver."""

from typing import Literal

import msgspec
from msgspec import Struct

from harness.core.readings import WarmUp
from harness.core.recorder import OperationLog
from harness.core.scenario import Scenario
from harness.load.sampling import Answered

Phase = Literal["warm-up", "measure", "drain"]
JOB_FILE = "job.json"
REPORT_FILE = "report.json"
DISMISSED = 4
"""Exit status of a worker to which no more jobs will come."""
NOT_NEEDED = 5
"""Exit status of a worker that a master had no job for."""


class LoadJob(Struct):
    """One scenario for one load process, or for the master of several.

    Attributes:
        url: root of the service, without a trailing slash; as the generators see it.
        scenario: with its final load and phases.
        seed: of the plan.
        tapes: per operation, the path of its tape.
        worker: this process's number among `workers`.
        workers: how many share the load.
        bind: where the master of several listens, HOST:PORT; empty for a free port of the loopback.
        join: whether the workers come by themselves, rather than being started here.
        patience: seconds to wait for those.
        delay: seconds between the end of the preparations and the first planned request.
        keep_parts: whether the report has what each worker measured, too.
    """

    url: str
    scenario: Scenario
    seed: int
    tapes: dict[str, str]
    worker: int = 0
    workers: int = 1
    bind: str = ""
    join: bool = False
    patience: float = 300.0
    delay: float = 0.3
    keep_parts: bool = False


class Progress(Struct, tag="progress"):
    """One line each second.

    Attributes:
        phase: warm-up, measure or drain.
        elapsed: seconds of this phase.
        total: seconds it is planned to last.
        rate: successful answers in the last second.
        p99_us: response P99 of the last second; None without answers.
        errors: failures so far, of the measure phase.
        skipped: requests not sent so far, likewise.
        in_flight: requests without an answer now.
        cpu: share of one core used in the last second; of the busiest worker.
        rss_mib: memory that the process holds now; of the largest worker.
        responses: the histogram behind `p99_us`, encoded, where others are to be merged with it.
    """

    phase: Phase
    elapsed: float
    total: float
    rate: float
    p99_us: float | None
    errors: int
    skipped: int
    in_flight: int
    cpu: float
    responses: str = ""
    rss_mib: float = 0.0


class PhaseChange(Struct, tag="phase"):
    """A phase began, or all are over."""

    phase: Phase | Literal["end"]


class Note(Struct, tag="note"):
    """Something worth a line of its own to the user."""

    text: str


class Alive(Struct, tag="alive"):
    """Nothing new, and nothing hangs."""


class Ready(Struct, tag="ready"):
    """One job of a series is done, its report written: the next may come."""


Line = Progress | PhaseChange | Note


class LoadReport(Struct):
    """What one load process measured, or several together.

    Attributes:
        started_at: when the measure phase began, RFC 3339.
        seconds: the measure phase's true length.
        interrupted: whether it was told to stop early.
        problem: what went wrong in the generator itself; empty when nothing.
        cpu: highest share of one core in any second of the measure phase.
        cpu_mean: its mean; of the busiest worker.
        clock_shift: seconds that the wall clock gained on the monotonic one over the measure phase.
        suspended: seconds that the host slept during it.
        workers: how many processes there should be.
        reported: how many of them this comes from.
        warmup_requests: recorded, and due before the measure phase.
        warmup: what came before the measure phase; None where it never began.
        samples: some of the searches with their answers.
        parts: the operations of each worker, where they were asked for.
    """

    operations: list[OperationLog]
    started_at: str
    seconds: float
    interrupted: bool
    problem: str
    cpu: float
    cpu_mean: float
    max_in_flight: int
    max_rss_mib: float
    workers: int = 1
    reported: int = 1
    warmup_requests: int = 0
    warmup: WarmUp | None = None
    samples: list[Answered] = []
    parts: list[list[OperationLog]] = []
    clock_shift: float = 0.0
    suspended: float = 0.0


def encode_line(line: Line | Alive | Ready) -> bytes:
    """One line for the driver."""
    return msgspec.json.encode(line) + b"\n"


def decode_line(data: bytes) -> Line | Alive | Ready:
    """The line that `encode_line` wrote.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    return msgspec.json.decode(data, type=Line | Alive | Ready)  # type: ignore[no-any-return]

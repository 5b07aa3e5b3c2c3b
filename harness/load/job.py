"""What a load process is told, and what it tells: the files and lines between it and its driver."""

from typing import Literal

import msgspec
from msgspec import Struct

from harness.core.recorder import OperationLog
from harness.core.scenario import Scenario

JOB_FILE = "job.json"
REPORT_FILE = "report.json"


class LoadJob(Struct):
    """One scenario for one load process.

    Attributes:
        url: root of the service, without a trailing slash.
        scenario: with its final load and phases.
        seed: of the plan.
        tapes: per operation, the path of its tape.
        worker: this process's number among `workers`.
    """

    url: str
    scenario: Scenario
    seed: int
    tapes: dict[str, str]
    worker: int = 0
    workers: int = 1


class Progress(Struct, tag="progress"):
    """One line each second.

    Attributes:
        phase: warm-up, measure or drain.
        elapsed: seconds of this phase.
        total: seconds it is planned to last.
        rate: successful answers in the last second.
        p99_us: response P99 of the last second; None without answers.
        errors: failures so far, all phases.
        skipped: requests not sent so far.
        in_flight: requests without an answer now.
        cpu: share of one core used in the last second.
    """

    phase: Literal["warm-up", "measure", "drain"]
    elapsed: float
    total: float
    rate: float
    p99_us: float | None
    errors: int
    skipped: int
    in_flight: int
    cpu: float


class PhaseChange(Struct, tag="phase"):
    """A phase began."""

    phase: Literal["warm-up", "measure", "drain", "end"]


Line = Progress | PhaseChange


class LoadReport(Struct):
    """What one load process measured.

    Attributes:
        started_at: when the measure phase began, RFC 3339.
        seconds: the measure phase's true length.
        interrupted: whether it was told to stop early.
        problem: what went wrong in the generator itself; empty when nothing.
        cpu: highest share of one core in any second of the measure phase.
        cpu_mean: its mean.
        clock_shift: seconds that the wall clock gained on the monotonic one over the measure phase.
        suspended: seconds that the host slept during it.
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
    clock_shift: float = 0.0
    suspended: float = 0.0


def encode_line(line: Line) -> bytes:
    """One line for the driver."""
    return msgspec.json.encode(line) + b"\n"


def decode_line(data: bytes) -> Line:
    """The line that `encode_line` wrote.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    return msgspec.json.decode(data, type=Line)  # type: ignore[no-any-return]

"""The run record: everything that one run knows, in one versioned file, from which all reports are drawn."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from harness.core.blocks import Bounds, SecondCounts, intervals
from harness.core.errors import UsageError
from harness.core.histogram import PERCENTS, Histogram
from harness.core.readings import Drift, GeneratorHealth, Recall, ServiceReadings, Telemetry, WarmUp, WorstSecond
from harness.core.recorder import OperationLog
from harness.core.scenario import FLOOR, Scenario
from harness.core.verdict import Verdict

FORMAT: Final = 1
FILE: Final = "run.json"

Status = Literal["complete", "interrupted", "failed"]


class Setting(Struct, frozen=True):
    """One PostgreSQL setting: its value, why, and what the guide says where that differs."""

    name: str
    value: str
    reason: str
    guide: str = ""


class Provenance(Struct, frozen=True):
    """Where a record comes from, as far as its figures depend on it.

    Attributes:
        git_revision: of the working directory; empty outside a repository.
        git_dirty: whether it had uncommitted changes.
        machine: processor, cores, memory, kernel and the like.
        packages: versions of everything installed that the run may have used.
    """

    membench: str
    command: list[str]
    git_revision: str
    git_dirty: bool
    machine: dict[str, str | int | float]
    python: str
    packages: dict[str, str]


class System(Struct):
    """The system under test.

    Attributes:
        url: the service's.
        service: name and version as its health endpoint tells them.
        postgres: how it was brought up: container, embedded, external, or unknown behind a URL.
        postgres_version: the server's, empty when unknown.
        pgvector_version: the extension's, empty when unknown.
        settings: those that were set for the run, each with its reason.
    """

    url: str
    service: str = ""
    postgres: str = "unknown"
    postgres_version: str = ""
    pgvector_version: str = ""
    settings: list[Setting] = []


class DataSet(Struct):
    """The memories that were loaded.

    Attributes:
        source: the generator with its parameters, or a file's name.
        fingerprint: SHA-256 of the content.
        memories: how many are there, per tier.
        deduplicated: how many of the source were already there.
        load_seconds: how long loading took.
    """

    source: str
    fingerprint: str
    memories: dict[str, int]
    deduplicated: int
    load_seconds: float


class OperationVerdict(Struct):
    """Whether an operation was served, and whether its figures can be believed, apart from any target."""

    verdict: Verdict
    reasons: list[str] = []
    hints: list[str] = []


class ScenarioResult(Struct, dict=True):
    """One scenario's run.

    Attributes:
        scenario: with the load and phases that it really had.
        started_at: when the measure phase began, RFC 3339.
        seconds: the measure phase's true length; shorter than planned when interrupted.
        status: whether the phase ran to its end.
        seed: of its plan and tapes.
        tapes: SHA-256 of each operation's requests.
        operations: in the mix's order, the floor last.
        attempt: 1, or more where the phase was repeated.
        repeated_because: why the first attempt was not believed.
        verdicts: of each operation.
        failure: for a failed one, how.
        warmup: what came before; None where no generator reported.
        telemetry: what was read beside the load.
        recall: of each operation that searches, where it was sampled.
        recall_missing: why there is none of an operation that was sampled.
        worst: the slowest second, and what coincided with it.
        drifts: what moved over the phase, of those quantities that should stand still.
        pressure: what was done to the host meanwhile, in words; empty for nothing.
    """

    scenario: Scenario
    started_at: str
    seconds: float
    status: Status
    seed: int
    tapes: dict[str, str]
    operations: list[OperationLog]
    generator: GeneratorHealth = msgspec.field(default_factory=GeneratorHealth)
    service: ServiceReadings = msgspec.field(default_factory=ServiceReadings)
    attempt: int = 1
    repeated_because: list[str] = []
    verdicts: dict[str, OperationVerdict] = {}
    failure: str = ""
    warmup: WarmUp | None = None
    telemetry: Telemetry = msgspec.field(default_factory=Telemetry)
    recall: dict[str, Recall] = {}
    recall_missing: dict[str, str] = {}
    worst: WorstSecond | None = None
    drifts: list[Drift] = []
    pressure: str = ""

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.scenario.name

    @cached_property
    def _seconds(self) -> dict[tuple[str, str], SecondCounts]:
        return {}

    @cached_property
    def _histograms(self) -> dict[tuple[str, str], Histogram]:
        return {}

    @cached_property
    def _intervals(self) -> dict[tuple[str, str], dict[float, Bounds | None]]:
        return {}

    def seconds_of(self, operation: str, clock: str) -> SecondCounts:
        """The measure phase of one operation and clock second by second, decoded once."""
        key = operation, clock
        if key not in self._seconds:
            self._seconds[key] = SecondCounts.of(self.operation(operation), clock)
        return self._seconds[key]

    def histogram(self, operation: str, clock: str) -> Histogram:
        """The measure phase's histogram of one operation and clock."""
        key = operation, clock
        if key not in self._histograms:
            self._histograms[key] = self.seconds_of(operation, clock).total()
        return self._histograms[key]

    def unknown_above(self, operation: str, clock: str) -> int:
        """Requests slower than all recorded ones: the censored, which were not *sent* later than others, though."""
        return 0 if clock == "lag" else max(self.operation(operation).tally.censored, 0)

    def interval(self, operation: str, clock: str, percent: float) -> Bounds | None:
        """The 95% interval of one percentile, microseconds, see `harness.core.blocks.intervals`.

        Args:
            operation: whose.
            clock: one of CLOCKS.
            percent: one of PERCENTS.

        Returns:
            both ends, the upper one None where it lies among requests that were never answered; None where the phase
            is too short or the sample does not carry the percentile.
        """
        key = operation, clock
        if key not in self._intervals:
            found = intervals(self.seconds_of(*key), PERCENTS, self.unknown_above(*key))
            self._intervals[key] = dict(zip(PERCENTS, found, strict=True))
        return self._intervals[key].get(percent)

    def operation(self, name: str) -> OperationLog:
        """The log of one operation.

        Raises:
            KeyError: the scenario has none of that name.
        """
        for log in self.operations:
            if log.name == name:
                return log
        raise KeyError(f"{self.name} has no operation {name}")

    def offered_rate(self, operation: str) -> float:
        """Requests per second that were due."""
        return self.operation(operation).tally.planned / self.seconds if self.seconds else 0.0

    def achieved_rate(self, operation: str) -> float:
        """Successful answers per second that *ended* within the measure phase, over whole seconds of it."""
        whole = int(self.seconds)
        done = sum(i.completed for i in self.operation(operation).intervals if 0 <= i.second < whole)
        return done / whole if whole else 0.0

    @property
    def floor_operation(self) -> str | None:
        """The interleaved no-op operation, where there is one beside others."""
        names = [log.name for log in self.operations]
        return FLOOR if FLOOR in names and len(names) > 1 else None


class TargetResult(Struct):
    """What became of one target.

    Attributes:
        id: the target's.
        verdict: PASS, WARN, FAIL, INVALID or "not measured".
        value: the figure in the target's unit; None when there is none.
        clock: the clock that was judged, for latencies.
        operation: whose requests; empty for all of the scenario.
        percentile: for latencies.
        floor: the floor's figure in the same unit, where it was measured.
        reasons: why the verdict is what it is, wherever it is not simply the figure against the bounds.
        hints: for INVALID, what to try next.
    """

    id: str
    title: str
    unit: str
    target: float
    critical: float
    better: str
    scenario: str
    method: str
    verdict: Verdict
    value: float | None = None
    clock: str = ""
    operation: str = ""
    percentile: float | None = None
    floor: float | None = None
    reasons: list[str] = []
    hints: list[str] = []


class PressureCost(Struct):
    """One figure of one operation without and with pressure on the host, all rounds of each taken together.

    Attributes:
        figure: what it is: "response P99", "rate", "failed".
        unit: "us", "1/s" or "%".
        calm: without pressure; None where too few requests stand behind it.
        pressed: with it.
    """

    operation: str
    figure: str
    unit: str
    calm: float | None
    pressed: float | None

    @property
    def ratio(self) -> float | None:
        """Pressed to calm; None where there is none."""
        return self.pressed / self.calm if self.calm and self.pressed is not None else None


class MicroResult(Struct):
    """One micro-benchmark: quantiles of the time of one call, microseconds."""

    group: str
    name: str
    rounds: int
    p50: float
    p95: float
    p99: float | None
    max: float
    per_second: float


class RunRecord(Struct):
    """One run.

    Attributes:
        format: version of this structure; another one is refused, not guessed at.
        id: also the run folder's name.
        suite: the suite that ran, or empty.
        status: complete; interrupted by the user; or failed, with `failure` saying how.
        verdict: of the whole run.
        not_run: scenarios that were asked for and did not run.
        pressure_costs: what pressure on the host cost, where some scenarios ran under it and some did not.
        calmed: what was done to calm the host for the run, and undone after it.
    """

    id: str
    created_at: str
    provenance: Provenance
    seed: int
    suite: str = ""
    format: int = FORMAT
    status: Status = "complete"
    failure: str = ""
    system: System | None = None
    dataset: DataSet | None = None
    scenarios: list[ScenarioResult] = []
    targets: list[TargetResult] = []
    micro: list[MicroResult] = []
    verdict: Verdict = Verdict.INVALID
    reasons: list[str] = []
    not_run: list[str] = []
    calmed: list[str] = []
    pressure_costs: list[PressureCost] = []

    def scenario(self, name: str) -> ScenarioResult | None:
        """The result of one scenario, None when it did not run."""
        return next((result for result in self.scenarios if result.name == name), None)


def save(record: RunRecord, folder: Path) -> Path:
    """Write a record into its folder, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path = folder / FILE
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    os.replace(partial, path)
    return path


def load(folder: Path) -> RunRecord:
    """Read the record of a run folder.

    Raises:
        UsageError: there is none, it is damaged, or another version wrote it.
    """
    path = folder / FILE if folder.is_dir() else folder
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"no run record at {path}: {error.strerror}", hint="RUN is a run's folder, or 'latest'"
        ) from error
    try:
        head: Any = msgspec.json.decode(data)
        if isinstance(head, dict) and head.get("format", FORMAT) != FORMAT:
            raise UsageError(
                f"{path} has format {head['format']}, this membench reads format {FORMAT}",
                hint="show it with the version that wrote it",
            )
        return msgspec.convert(head, RunRecord)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is not a run record: {error}") from error

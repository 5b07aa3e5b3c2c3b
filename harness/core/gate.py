"""The record of a gate: base and head measured in turns on one machine, and what that says of head."""

import math
import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from harness.core.errors import Exit, UsageError
from harness.core.histogram import Histogram, merged
from harness.core.record import Provenance, Setting, Status
from harness.core.recorder import Tally
from harness.core.rules import Metric, Rules, Waiver
from harness.core.scenario import Scenario

FORMAT: Final = 1
FILE: Final = "gate.json"

Side = Literal["base", "head"]
SIDES: Final[tuple[Side, Side]] = ("base", "head")


def other(side: Side) -> Side:
    """The side that this one is compared with."""
    return "head" if side == "base" else "base"


class GateVerdict(StrEnum):
    """What is said of one metric, and of the whole gate.

    IMPROVEMENT and WAIVED, a regression that somebody has accepted, are said of metrics only, never of a gate.
    """

    REGRESSION = "REGRESSION"
    WAIVED = "WAIVED"
    INVALID = "INVALID"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_REGRESSION = "NO REGRESSION"
    IMPROVEMENT = "IMPROVEMENT"


def exit_status(verdict: GateVerdict, *, inconclusive_fails: bool = True) -> Exit:
    """The exit status for a gate's verdict."""
    match verdict:
        case GateVerdict.REGRESSION:
            return Exit.FAIL
        case GateVerdict.INVALID:
            return Exit.INVALID
        case GateVerdict.INCONCLUSIVE:
            return Exit.INCONCLUSIVE if inconclusive_fails else Exit.OK
        case _:
            return Exit.OK


class Compared(Struct):
    """One side: what was measured.

    Attributes:
        what: a revision, a URL or a command, as the user gave it.
        revision: commit, where there is one; with "+" where the working tree had changes of its own.
        service: name and version as its health endpoint tells them.
        python: of its environment; empty when unknown.
        schema: what tells its database's schema; empty when unknown.
        environment: SHA-256 of what its dependencies are pinned to; empty when unknown.
    """

    what: str
    revision: str = ""
    service: str = ""
    python: str = ""
    schema: str = ""
    environment: str = ""


class Block(Struct):
    """One side under one block's load.

    Attributes:
        scenario: the block's.
        seconds: the measured length.
        tallies: per operation.
        histograms: per operation and clock (response, service, server), encoded: the measured part.
        rates: per operation, good answers per second.
        errors: per operation, failures by kind.
        steal: share of CPU time that the hypervisor took, 0 to 1; None when unknown.
        service_cpu: seconds of CPU that the service's processes used over warm-up, measured part and drain; None
            when it is not on this machine.
        drain: longest that answers were waited for, seconds.
        doubts: why it cannot be believed; empty when it can.
    """

    side: Side
    scenario: str
    seconds: float
    tallies: dict[str, Tally]
    histograms: dict[str, dict[str, str]]
    rates: dict[str, float]
    errors: dict[str, dict[str, int]] = {}
    steal: float | None = None
    service_cpu: float | None = None
    drain: float = 0.0
    doubts: list[str] = []

    def histogram(self, operation: str, clock: str) -> Histogram:
        """Of one operation and clock; empty where nothing was answered."""
        encoded = self.histograms.get(operation, {}).get(clock)
        return Histogram.decode(encoded) if encoded else Histogram()

    def unanswered(self, operation: str) -> int:
        """Requests known only to be slower than all answered ones: censored, and skipped over the cap in flight."""
        tally = self.tallies[operation]
        return max(tally.censored, 0) + tally.skipped

    def value(self, metric: Metric) -> float | None:
        """The block's figure: microseconds, or answers per second; None where it has none.

        A percentile is Harrell and Davis's; an unanswered request counts as the drain, which it took at the least. A
        block without any answer counts as one with half of one: its rate is low, not unknown.
        """
        if metric.kind == "rate":
            rate = self.rates.get(metric.operation)
            return None if rate is None else rate or 0.5 / self.seconds
        if metric.kind == "cpu":
            answered = sum(tally.ok + tally.error for tally in self.tallies.values())
            used = self.service_cpu or 0.0
            return used * 1e6 / answered if used > 0 and answered else None
        if metric.kind == "micro" or metric.operation not in self.tallies:
            return None
        histogram, unknown = self.histogram(metric.operation, metric.clock), self.unanswered(metric.operation)
        longest = max(self.drain * 1e6, float(histogram.max))
        return histogram.smooth_percentile(metric.percentile, unknown_above=unknown, unknown=longest)


class Pair(Struct, dict=True):
    """One block of each kind for each side, close together in time.

    Attributes:
        number: from 1, as measured.
        round: from 1; the services of one round are the same processes.
        first: per block's scenario, the side that the coin put first.
        blocks: in the order measured.
        values: per metric's name, base's and head's figure; metrics without both are left out.
    """

    number: int
    round: int
    first: dict[str, Side]
    blocks: list[Block]
    values: dict[str, tuple[float, float]] = {}

    @property
    def doubts(self) -> list[str]:
        """Why it cannot be believed; empty when it counts."""
        return [f"{block.side}, {block.scenario}: {doubt}" for block in self.blocks for doubt in block.doubts]

    def block(self, side: Side, scenario: str) -> Block | None:
        """One of its blocks."""
        return next((one for one in self.blocks if one.side == side and one.scenario == scenario), None)

    def take_values(self, metrics: tuple[Metric, ...]) -> None:
        """Fill in `values` from the blocks; a rate where any side answered."""
        for metric in metrics:
            blocks = [one for side in SIDES if (one := self.block(side, metric.block)) is not None]
            if metric.kind == "rate" and not any(one.rates.get(metric.operation) for one in blocks):
                continue
            match [one.value(metric) for one in blocks]:
                case [float() as base, float() as head]:
                    self.values[metric.name] = base, head

    def worse(self, metric: Metric) -> float | None:
        """Log of the ratio by which head is worse than base: above 0 is worse; None without both figures."""
        if metric.name not in self.values:
            return None
        base, head = self.values[metric.name]
        return math.log(base / head) if metric.higher_is_better else math.log(head / base)


class MetricResult(Struct):
    """What became of one metric.

    All ratios say by how much head is *worse*: 1.2 is 20% slower, or base's rate 1.2 times head's.

    Attributes:
        verdict: IMPROVEMENT, too, where head is better beyond `metric.least`.
        pairs: with both figures, and no doubt.
        ratio: Hodges-Lehmann estimate; None without pairs.
        low: lower end of its 95% interval (exact signed-rank).
        high: upper end; None beyond what was seen.
        upper: the one-sided bound that NO REGRESSION is decided by.
        p: of "ratio <= metric.rejected", one-sided, exact signed-rank.
        p_adjusted: Holm over the gated metrics; Benjamini-Hochberg over the rest.
        base: its figure over all pairs (a percentile of the merged histograms, or the median), for display.
        head: likewise.
        detectable: smallest ratio that this run would have found with 80% probability, approximately; None unknown.
        reasons: in words.
        waiver: that covers it, or covered it once.
    """

    metric: Metric
    verdict: GateVerdict
    pairs: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    upper: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    base: float | None = None
    head: float | None = None
    detectable: float | None = None
    reasons: list[str] = []
    waiver: Waiver | None = None


class GateRecord(Struct, dict=True):
    """One gate.

    Attributes:
        id: also its folder's name.
        sides: what was compared.
        blocks: the load of each block, by name; both sides' alike.
        pairs: all that were measured, also those that do not count.
        look: index of the look at which it was decided; None before the first.
        metrics: results in the order of the rules.
        verdict: of the whole; INVALID until there is another.
        reasons: for that verdict, the most telling first.
        hints: what to do next.
        notes: what a reader should know and no verdict depends on.
        seconds: the gate's whole length.
        status: complete, interrupted, or failed: `reasons` tell how.
    """

    id: str
    created_at: str
    provenance: Provenance
    seed: int
    rules: Rules
    sides: dict[Side, Compared] = {}
    blocks: dict[str, Scenario] = {}
    settings: list[Setting] = []
    memories: int = 0
    pairs: list[Pair] = []
    look: int | None = None
    metrics: list[MetricResult] = []
    verdict: GateVerdict = GateVerdict.INVALID
    reasons: list[str] = []
    hints: list[str] = []
    notes: list[str] = []
    seconds: float = 0.0
    status: Status = "complete"
    format: int = FORMAT

    @property
    def counted(self) -> list[Pair]:
        """The pairs that count."""
        return [pair for pair in self.pairs if not pair.doubts]

    @cached_property
    def _pooled(self) -> dict[tuple[int, Side, str, str, str], Histogram]:
        return {}

    def pooled(self, side: Side, block: str, operation: str, clock: str) -> Histogram:
        """All counted pairs' requests in one histogram: for display, never for the verdict."""
        key = len(self.counted), side, block, operation, clock
        if key not in self._pooled:
            blocks = [found for pair in self.counted if (found := pair.block(side, block)) is not None]
            self._pooled[key] = merged(one.histogram(operation, clock) for one in blocks)
        return self._pooled[key]


def save(record: GateRecord, folder: Path) -> Path:
    """Write a record into its folder, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path = folder / FILE
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    os.replace(partial, path)
    return path


def load(folder: Path) -> GateRecord:
    """Read the record of a gate's folder.

    Raises:
        UsageError: there is none, it is damaged, or another version wrote it.
    """
    path = folder / FILE if folder.is_dir() else folder
    try:
        head: Any = msgspec.json.decode(path.read_bytes())
        if isinstance(head, dict) and head.get("format", FORMAT) != FORMAT:
            raise UsageError(f"{path} has format {head['format']}, this membench reads format {FORMAT}")
        return msgspec.convert(head, GateRecord)
    except OSError as error:
        raise UsageError(f"no gate record at {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is not a gate record: {error}") from error

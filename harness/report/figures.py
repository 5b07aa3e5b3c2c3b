"""The rows of every table of a report, made once, so that no two outputs can disagree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.core.blocks import Bounds
from harness.core.histogram import PERCENTS, enough_for
from harness.core.record import RunRecord, ScenarioResult, TargetResult
from harness.core.recorder import CLOCKS
from harness.core.verdict import Verdict
from harness.report.units import (
    MICROSECONDS,
    NOTHING,
    bound,
    clean,
    count,
    duration,
    figure,
    in_unit,
    number,
    share,
    span,
    within,
)

PERCENT_LABELS: Final = (*(f"P{percent:g}" for percent in PERCENTS), "max")
"""The heads of the latency columns."""

CENSORED_NOTE: Final = "> lies among the censored requests, which never ended"


@dataclass(frozen=True)
class TargetRow:
    """One target, ready to print.

    Attributes:
        value: the figure, a dash where there is none.
        interval: its 95% interval in the unit of the figure; empty where there is none.
        target: the bound of PASS with its sign, such as "≤ 1 ms".
        critical: the bound of WARN.
        clock: the clock judged, a dash for figures that are no latencies.
        floor: the floor's figure, a dash where none was measured.
        reasons: why the verdict is what it is, and whether the interval leaves it open.
        hints: what to try next.
    """

    id: str
    title: str
    scenario: str
    method: str
    verdict: Verdict
    value: str
    target: str
    critical: str
    clock: str
    floor: str
    reasons: tuple[str, ...]
    hints: tuple[str, ...]
    interval: str = ""


@dataclass(frozen=True)
class Cell:
    """One percentile.

    Attributes:
        text: a dash where the sample does not carry it, ">9.8 s" among requests never answered.
        note: why there is no plain figure; empty where there is one.
        interval: the 95% interval's ends in the figure's unit, "1.17–1.31"; empty where there is none.
    """

    text: str
    note: str = ""
    interval: str = ""

    @property
    def whole(self) -> str:
        """The figure, and its interval in brackets where it has one."""
        return f"{self.text} ({self.interval})" if self.interval else self.text


@dataclass(frozen=True)
class ClockRow:
    """The percentiles of one clock, in the order of PERCENT_LABELS."""

    clock: str
    samples: int
    cells: tuple[Cell, ...]
    judged: bool

    @property
    def has_intervals(self) -> bool:
        """Whether any of its figures has one."""
        return any(cell.interval for cell in self.cells)


@dataclass(frozen=True)
class OperationRow:
    """One operation of a scenario.

    Attributes:
        is_floor: whether it is the no-op under the others.
        offered: requests due per second, without the unit.
        achieved: successful answers per second, likewise.
        errors: kinds of failure, most frequent first.
        clocks: one row for each of CLOCKS.
        verdict: whether it was served and can be believed, apart from any target; None where nobody judged it.
        reasons: why the verdict is what it is.
        hints: what to try next.
    """

    name: str
    is_floor: bool
    offered: str
    achieved: str
    ok: int
    error: int
    skipped: int
    censored: int
    errors: tuple[tuple[str, int], ...]
    clocks: tuple[ClockRow, ...]
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name; the floor says that it is one."""
        return f"{self.name} (floor)" if self.is_floor else self.name

    @property
    def has_intervals(self) -> bool:
        """Whether any figure of any clock has one."""
        return any(clock.has_intervals for clock in self.clocks)

    @property
    def all_answered(self) -> bool:
        """Whether every request that was due was sent and answered well."""
        return not (self.error or self.skipped or self.censored)

    @property
    def fate(self) -> str:
        """What became of its requests, in words."""
        if self.all_answered:
            return f"{self.label}: all {count(self.ok)} answered" if self.ok else f"{self.label}: none sent"
        kinds = ", ".join(f"{kind}: {count(n)}" for kind, n in self.errors)
        parts = [f"{count(self.ok)} ok", f"{count(self.error)} failed{f' ({kinds})' if kinds else ''}"]
        parts += [f"{count(self.skipped)} skipped", f"{count(self.censored)} censored"]
        return f"{self.label}: {', '.join(parts)}"


@dataclass(frozen=True)
class HealthRow:
    """One fact about the generator; `trouble` is why it may spoil the figures, empty when it does not."""

    name: str
    value: str
    trouble: str = ""


def target_rows(record: RunRecord) -> list[TargetRow]:
    """The targets in the record's order."""
    return [_target_row(target, record.scenario(target.scenario)) for target in record.targets]


def operation_rows(record: RunRecord, result: ScenarioResult) -> list[OperationRow]:
    """The operations of one scenario, the floor last."""
    # Where a target's result does not name its operation, it is marked only where there is but one.
    alone = len([log for log in result.operations if log.name != result.floor_operation]) == 1
    names = ("",) if alone else ()
    return [
        _operation_row(result, log.name, judged_clocks(record, result.name, log.name, *names))
        for log in result.operations
    ]


def judged_clocks(record: RunRecord, scenario: str, *operations: str) -> set[str]:
    """The clocks by which the targets of one scenario are judged, those of the given operations or of all."""
    own = [t for t in record.targets if t.scenario == scenario and t.clock]
    return {t.clock for t in own if not operations or t.operation in operations}


def notes(rows: list[OperationRow]) -> list[str]:
    """The distinct notes of all cells, in the order in which a reader meets them."""
    found = (cell.note for row in rows for clock in row.clocks for cell in clock.cells if cell.note)
    return list(dict.fromkeys(found))


def health_rows(result: ScenarioResult) -> list[HealthRow]:
    """The generator's health over one scenario."""
    health = result.generator
    lost = health.workers - health.reported
    rows = [
        HealthRow(
            "Workers that reported",
            f"{health.reported} of {health.workers}",
            f"{lost} missing" if lost > 0 else "",
        ),
        HealthRow("Busiest second of a worker", f"{share(health.cpu)} of a core"),
        HealthRow("Mean over the phase", f"{share(health.cpu_mean)} of a core"),
        HealthRow("Most requests in flight", count(health.max_in_flight)),
        HealthRow("Largest worker", f"{number(health.max_rss_mib)} MiB"),
        HealthRow("CPU stolen by the hypervisor", "unknown" if health.steal is None else share(health.steal)),
    ]
    skipped = sum(log.tally.skipped for log in result.operations)
    rows.append(HealthRow("Requests skipped", count(skipped), "no figure can pass" if skipped else ""))
    rows += _lag_rows(result)
    for log in result.operations:
        tally = log.tally
        lost = tally.sent - tally.ok - tally.error - tally.censored
        if lost:
            rows.append(HealthRow(f"{log.name}: sent, not recorded", count(lost), "the recorder lost them"))
        if tally.out_of_range:
            rows.append(HealthRow(f"{log.name}: out of range", count(tally.out_of_range), "below 0 or above 1 h"))
    return rows


def service_rows(result: ScenarioResult) -> list[tuple[str, str]]:
    """What the service said of itself: name and figure."""
    service = result.service
    rows = []
    if service.pool_utilization:
        values = [sample.value for sample in service.pool_utilization]
        mean = sum(values) / len(values)
        rows.append(
            (
                "Connection pool",
                f"mean {share(mean)} busy, {share(max(values))} at most ({len(values)} readings)",
            )
        )
    for cache in sorted({*service.cache_hits, *service.cache_misses}):
        hits, misses = service.cache_hits.get(cache, 0), service.cache_misses.get(cache, 0)
        total = hits + misses
        ratio = f"{share(hits / total)} of {count(total)} look-ups hit" if total else "no look-ups"
        rows.append((f"Cache {clean(cache)}", ratio))
    if service.compression_ratio is not None:
        rows.append(("Compression of the cold tier", in_unit(service.compression_ratio, ":1")))
    return rows


def _target_row(target: TargetResult, result: ScenarioResult | None) -> TargetRow:
    bounds = _interval(target, result)
    per_unit = MICROSECONDS.get(target.unit, 1.0)
    interval = within(*bounds, target.value * per_unit) if bounds and target.value is not None else ""
    reasons = [*target.reasons, *_crossings(target, bounds)]
    return TargetRow(
        id=target.id,
        title=clean(target.title),
        scenario=target.scenario,
        method=clean(target.method),
        verdict=target.verdict,
        value=figure(target.value, target.unit, (target.target, target.critical)),
        target=bound(target.target, target.unit, target.better),
        critical=bound(target.critical, target.unit, target.better),
        clock=target.clock or NOTHING,
        floor=in_unit(target.floor, target.unit),
        reasons=tuple(clean(reason) for reason in reasons),
        hints=tuple(clean(hint) for hint in target.hints),
        interval=interval,
    )


def _interval(target: TargetResult, result: ScenarioResult | None) -> Bounds | None:
    if result is None or not target.operation or target.percentile is None or not target.clock:
        return None
    if target.operation not in {log.name for log in result.operations}:
        return None
    return result.interval(target.operation, target.clock, target.percentile)


def _crossings(target: TargetResult, bounds: Bounds | None) -> Iterator[str]:
    """Says so where a repetition of the run might well have had another verdict."""
    if bounds is None or target.value is None or target.verdict in (Verdict.INVALID, Verdict.NOT_MEASURED):
        return
    low, high = bounds
    each = MICROSECONDS[target.unit]
    names = [("the target", target.target), ("the critical threshold", target.critical)]
    crossed = [name for name, at in names if low <= at * each and (high is None or at * each < high)]
    if crossed:
        yield f"P{target.percentile:g} {span(low, high)}: the interval crosses {' and '.join(crossed)}"


def _operation_row(result: ScenarioResult, name: str, judged: set[str]) -> OperationRow:
    log = result.operation(name)
    tally = log.tally
    errors = sorted(log.errors.items(), key=lambda item: (-item[1], item[0]))
    is_floor = name == result.floor_operation
    said = result.verdicts.get(name)
    return OperationRow(
        name=clean(name),
        is_floor=is_floor,
        offered=number(result.offered_rate(name)),
        achieved=number(result.achieved_rate(name)),
        ok=tally.ok,
        error=tally.error,
        skipped=tally.skipped,
        censored=tally.censored,
        errors=tuple((clean(kind), n) for kind, n in errors),
        clocks=tuple(_clock_row(result, name, clock, clock in judged and not is_floor) for clock in CLOCKS),
        verdict=said.verdict if said else None,
        reasons=tuple(clean(reason) for reason in said.reasons) if said else (),
        hints=tuple(clean(hint) for hint in said.hints) if said else (),
    )


def _clock_row(result: ScenarioResult, operation: str, clock: str, judged: bool) -> ClockRow:
    samples = result.histogram(operation, clock).count
    return ClockRow(clock, samples, tuple(_cells(result, operation, clock)), judged)


def _cells(result: ScenarioResult, operation: str, clock: str) -> Iterator[Cell]:
    histogram, censored = result.histogram(operation, clock), result.unknown_above(operation, clock)
    samples = histogram.count
    for percent in (*PERCENTS, 100.0):
        if not samples:
            yield Cell(NOTHING)
        elif percent < 100 and samples + censored < enough_for(percent):
            yield Cell(NOTHING, f"{NOTHING} P{percent:g} needs {count(enough_for(percent))} samples")
        else:
            value = histogram.percentile(percent, unknown_above=censored)
            bounds = result.interval(operation, clock, percent) if percent < 100 else None
            interval = within(*bounds, histogram.max if value is None else value) if bounds else ""
            if value is None:
                yield Cell(f">{duration(histogram.max)}", CENSORED_NOTE, interval)
            else:
                yield Cell(duration(value), interval=interval)


def _lag_rows(result: ScenarioResult) -> Iterator[HealthRow]:
    for log in result.operations:
        cells = _clock_row(result, log.name, "lag", False).cells
        yield HealthRow(f"{log.name}: lag P99", cells[PERCENT_LABELS.index("P99")].text)

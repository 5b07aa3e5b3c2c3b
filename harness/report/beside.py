"""What was found beside the latencies: warm-up, the worst second, recall, drifts, and what telemetry read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.core.readings import Drift, Group, Recall, Relation, Statement
from harness.core.record import RunRecord, ScenarioResult
from harness.report.units import NOTHING, clean, count, duration, number, quantity, seconds, share

UNUSUAL: Final = 3.0
"""Times the usual longest response of a second from which the worst one is worth a line on a terminal."""
STATEMENTS: Final = 8
RELATIONS: Final = 8
EVENTS: Final = 20
"""The most rows of each table."""

GROUPS: Final[dict[Group, str]] = {
    "host": "Host",
    "postgres": "PostgreSQL",
    "service": "Service",
    "generator": "Generator",
}


@dataclass(frozen=True)
class Table:
    """One table, ready to print.

    Attributes:
        left: how many of the first columns hold words rather than figures.
        note: what the table leaves out; empty for nothing.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    note: str = ""


def said(result: ScenarioResult) -> list[str]:
    """All that is to be said of a scenario in sentences; the worst second, which has its own, is not among them."""
    lines = [warmup(result), f"Under pressure: {clean(result.pressure)}." if result.pressure else ""]
    lines += [recall(name, found) for name, found in result.recall.items()]
    return [line for line in lines if line]


def warmup(result: ScenarioResult) -> str:
    """How long the warm-up was and why it ended; empty where nothing was recorded of it."""
    found = result.warmup
    if found is None:
        return ""
    test = f" ({clean(found.test)})" if found.test else ""
    state = f"steady{test}" if found.steady else f"not steady{test}, measured all the same"
    dropped = f"{count(found.dropped)} requests dropped"
    return f"Warm-up: {seconds(found.seconds)}, {state}; {dropped}."


def recall(operation: str, found: Recall) -> str:
    """The recall of one operation with its interval, in a sentence."""
    left = f", {count(found.unanswered)} more could not be answered exactly" if found.unanswered else ""
    ends = f"{number(found.low)} to {number(found.high)}"
    searches = f"{count(found.queries)} searches under load{left}"
    return f"{clean(operation)}: recall@{found.k:.0f} {number(found.mean)} (95% CI {ends}) of {searches}."


def worst(result: ScenarioResult) -> list[str]:
    """The worst second and what coincided with it, in sentences; none where it was not looked for."""
    found = result.worst
    if found is None:
        return []
    times = f", {number(found.longest_us / found.usual_us, 2)} times as much" if found.usual_us > 0 else ""
    lines = [
        f"Worst second: {found.second} to {found.second + 1} s, {clean(found.operation)} waited up to "
        f"{duration(found.longest_us)}; a usual second's longest is {duration(found.usual_us)}{times}."
    ]
    causes = [clean(one).rstrip(".") for one in found.coincided]
    lines.append(f"Then: {'; '.join(causes)}." if causes else "Nothing unusual was read in it.")
    return lines


def unusual(result: ScenarioResult) -> bool:
    """Whether the worst second is worth a line where lines are few."""
    found = result.worst
    return found is not None and found.longest_us > UNUSUAL * found.usual_us


def drift(found: Drift) -> str:
    """One drift in a sentence."""
    ends = f"{_signed(found.low, found.unit)} to {_signed(found.high, found.unit)}"
    rate = f"{_signed(found.per_minute, found.unit)} a minute (95% CI {ends})"
    state = rate if found.significant else f"stands still: {rate}"
    return f"Drift of {clean(found.name)}: {quantity(found.start, found.unit)} at first, {state}."


def tables(result: ScenarioResult) -> list[Table]:
    """The tables of a scenario that have rows: drifts, statements, relations, events, and what could not be read."""
    made = [_drifts(result), _statements(result), _relations(result), _events(result), _missing(result)]
    return [table for table in made if table.rows]


def calmed(record: RunRecord) -> str:
    """What was done to calm the host, in a sentence; empty for nothing."""
    steps = "; ".join(clean(step) for step in record.calmed)
    return f"Host calmed for the run, and undone after it: {steps}." if steps else ""


def _drifts(result: ScenarioResult) -> Table:
    rows = tuple(
        (
            clean(one.name),
            "moves" if one.significant else "stands still",
            quantity(one.start, one.unit),
            _signed(one.per_minute, one.unit),
            f"{_signed(one.low, one.unit)} to {_signed(one.high, one.unit)}",
        )
        for one in result.drifts
    )
    return Table("Drifts over the phase", ("Quantity", "It", "At first", "Per minute", "95% CI"), rows, left=2)


def _statements(result: ScenarioResult) -> Table:
    found = sorted(result.telemetry.statements, key=lambda one: -one.total_ms)
    rows = tuple(_statement(one) for one in found[:STATEMENTS])
    heads = ("Statement", "Calls", "Total", "Mean", "Rows", "Hit", "WAL")
    left_out = len(found) - len(rows)
    note = f"{count(left_out)} cheaper statements are left out." if left_out else ""
    return Table("Statements that took longest in PostgreSQL", heads, rows, note=note)


def _statement(one: Statement) -> tuple[str, ...]:
    pages = one.blocks_hit + one.blocks_read
    mean = one.total_ms / one.calls * 1e3 if one.calls else None
    return (
        " ".join(clean(one.text).split()),
        count(one.calls),
        duration(one.total_ms * 1e3),
        duration(mean),
        count(one.rows),
        share(one.blocks_hit / pages) if pages else NOTHING,
        quantity(one.wal_bytes / 2**20, "MiB"),
    )


def _relations(result: ScenarioResult) -> Table:
    found = sorted(result.telemetry.relations, key=lambda one: -one.mib)
    rows = tuple(_relation(one) for one in found[:RELATIONS])
    left_out = len(found) - len(rows)
    note = f"{count(left_out)} smaller ones are left out." if left_out else ""
    heads = ("Relation", "Of", "Size", "Scans", "Rows", "Dead rows")
    return Table("Largest tables and indexes", heads, rows, left=2, note=note)


def _relation(one: Relation) -> tuple[str, ...]:
    rows = (NOTHING, NOTHING) if one.table else (count(one.live), _dead(one))
    return (
        clean(one.name), clean(one.table) or NOTHING, quantity(one.mib, "MiB"), count(one.scans), *rows,
    )  # fmt: skip


def _dead(one: Relation) -> str:
    total = one.live + one.dead
    return f"{count(one.dead)} ({share(one.dead / total)})" if total and one.dead else count(one.dead)


def _events(result: ScenarioResult) -> Table:
    found = sorted(result.telemetry.events, key=lambda one: -one.seconds)
    shown = sorted(found[:EVENTS], key=lambda one: one.second)
    rows = tuple(
        (f"{GROUPS[one.group]}: {clean(one.text)}", seconds(round(one.second, 1)), seconds(one.seconds))
        for one in shown
    )
    note = f"{count(len(found) - len(rows))} shorter ones are left out." if len(found) > len(rows) else ""
    return Table("What began and ended", ("Event", "Began at", "Lasted"), rows, note=note)


def _missing(result: ScenarioResult) -> Table:
    rows = tuple((clean(reason),) for reason in result.telemetry.missing)
    return Table("What could not be read", ("Reason",), rows)


def _signed(value: float, unit: str) -> str:
    sign = "+" if value > 0 else ""
    return f"{sign}{quantity(value, unit)}"


def properties(result: ScenarioResult) -> Iterator[tuple[str, str]]:
    """The same as pairs of name and value, for a form that has no sentences."""
    if result.warmup:
        yield "warmup", warmup(result)
    if result.pressure:
        yield "pressure", clean(result.pressure)
    for name, found in result.recall.items():
        yield f"{name}.recall", recall(name, found)
    if result.worst:
        yield "worst second", " ".join(worst(result))
    for one in result.drifts:
        yield f"drift.{one.name}", drift(one)

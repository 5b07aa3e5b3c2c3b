"""A run record on a terminal or in a CI log."""

from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.core.record import RunRecord, ScenarioResult
from harness.core.verdict import Verdict
from harness.report import beside, pressure, words
from harness.report.figures import (
    PERCENT_LABELS,
    OperationRow,
    TargetRow,
    health_rows,
    notes,
    operation_rows,
    service_rows,
    target_rows,
)
from harness.report.printer import Printer
from harness.report.units import NOTHING, clean, duration, number

STYLES: Final = {
    Verdict.PASS: "bold green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.INVALID: "bold magenta",
    Verdict.NOT_MEASURED: "dim",
}
"""The colour of each verdict; the word always stands beside it."""


def print_report(record: RunRecord, console: Console, verbose: bool = False) -> None:
    """Print a record: verdict, targets, operations, footnotes and what to do next.

    Args:
        record: the run.
        console: where to; one that is no terminal is taken to be at least LOG_WIDTH wide.
        verbose: all four clocks, the generator's health and what the service said of itself, too.
    """
    _Printer(record, console).everything(verbose)


class _Printer(Printer):
    def __init__(self, record: RunRecord, console: Console) -> None:
        super().__init__(console)
        self.record = record
        self.signs: list[str] = []

    def everything(self, verbose: bool) -> None:
        record = self.record
        for line in words.shortcomings(record):
            self.line(f"! {line}", "bold yellow")
        self.line(words.headline(record), STYLES[record.verdict])
        self.line(f"{words.tally(record)} · run {clean(record.id)}{self._suite()}")
        for reason in words.run_reasons(record):
            self.line(f"  {reason}")
        if record.targets:
            self.line()
            self.show(self._targets())
        for result in record.scenarios:
            self.line()
            self._scenario(result, verbose)
        self._pressure()
        self._micro()
        if calmed := beside.calmed(record):
            self.line()
            self.line(calmed)
        self._footnotes()
        self.line()
        self.line(f"Next: {words.next_step(record)}", "bold")

    def _suite(self) -> str:
        return f" · suite {clean(self.record.suite)}" if self.record.suite else ""

    def _targets(self) -> Table:
        rows = target_rows(self.record)
        floor = self.wide and any(row.floor != NOTHING for row in rows)
        heads = ["target", "verdict", "figure", "target", "critical", "clock"]
        table = self.table(*heads, *["floor"] * floor, left=2)
        for row in rows:
            verdict = Text(self.encodable(f"{row.verdict}{self._reasons(row)}"), STYLES[row.verdict])
            cells = [row.value, row.target, row.critical, row.clock, *[row.floor] * floor]
            self.row(table, row.title, verdict, *cells)
        return table

    def _reasons(self, row: TargetRow) -> str:
        if self.record.scenario(row.scenario) is None:
            return f" {self.mark('not measured: its scenario did not run')}"  # one note for all of them
        said = [*row.reasons, *(f"Try: {hint}" for hint in row.hints)]
        if not self.wide and row.floor != NOTHING:
            said.append(f"floor {row.floor}")
        return f" {self.mark(f'{row.title}: ' + '; '.join(said))}" if said else ""

    def _scenario(self, result: ScenarioResult, verbose: bool) -> None:
        self.line(f"{clean(result.scenario.title)} ({result.name})", "bold")
        self.line(f"{words.load(result.scenario)}; {words.phases(result)}")
        if repetition := words.repetition(result):
            self.line(repetition, "yellow")
        for line in beside.said(result):
            self.line(
                line, "yellow" if result.warmup and not result.warmup.steady and line == beside.warmup(result) else ""
            )
        rows = operation_rows(self.record, result)
        table = self.table("operation", "clock", "due/s", "done/s", *PERCENT_LABELS, left=2)
        for row in rows:
            self._operation(table, row, verbose)
        self.show(table)
        self.signs += [note for note in notes(rows) if note not in self.signs]
        for row in rows:
            self.line(f"{row.fate}{self._said_of(row, result)}", "" if row.all_answered else "yellow")
        if not self.wide:
            self._intervals(rows)
        if verbose or beside.unusual(result):
            for line in beside.worst(result):
                self.line(line)
        for one in result.drifts:
            if verbose or one.significant:
                self.line(beside.drift(one), "yellow" if one.significant else "")
        if verbose:
            self._health(result)

    def _said_of(self, row: OperationRow, result: ScenarioResult) -> str:
        if row.verdict in (None, Verdict.PASS):
            return ""
        # What a target of the scenario has said already is not said again.
        own = [target for target in target_rows(self.record) if target.scenario == result.name]
        known = {reason for target in own for reason in target.reasons}
        tried = {hint for target in own for hint in target.hints}
        fresh = [reason for reason in row.reasons if reason not in known]
        fresh += [f"Try: {hint}" for hint in dict.fromkeys(row.hints) if hint not in tried]
        mark = f" {self.mark(f'{result.name}, {row.label}: ' + '; '.join(fresh))}" if fresh else ""
        return f": {row.verdict}{mark}"

    def _operation(self, table: Table, row: OperationRow, verbose: bool) -> None:
        for clock in row.clocks:
            first = clock.clock == "response"
            if not (first or verbose or clock.judged):
                continue
            head = [row.label, clock.clock, row.offered, row.achieved] if first else ["", clock.clock, "", ""]
            style = "dim" if row.is_floor else ""
            self.row(table, *head, *(cell.text for cell in clock.cells), style=style)
            if self.wide and clock.has_intervals:
                self.row(table, "", "95% CI", "", "", *(cell.interval for cell in clock.cells), style="dim")

    def _intervals(self, rows: list[OperationRow]) -> None:
        # Too narrow for a row below the figures.
        for row in rows:
            cells = zip(PERCENT_LABELS, row.clocks[0].cells, strict=True)
            parts = [f"{label} {cell.interval} {cell.text.split(' ')[-1]}" for label, cell in cells if cell.interval]
            if parts:
                self.line(f"{row.label}, 95% CI: {', '.join(parts)}", "dim")

    def _health(self, result: ScenarioResult) -> None:
        table = self.table("generator and service", "figure", left=2)
        for fact in health_rows(result):
            trouble = f": {fact.trouble}" if fact.trouble else ""
            self.row(table, fact.name, f"{fact.value}{trouble}", style="yellow" if trouble else "")
        for name, value in service_rows(result):
            self.row(table, name, value)
        self.line()
        self.show(table)

    def _pressure(self) -> None:
        rows = pressure.cost_rows(self.record)
        if not rows:
            return
        self.line()
        self.line(pressure.TITLE, "bold")
        table = self.table(*(head.lower() for head in pressure.HEADS), left=2)
        for row in rows:
            self.row(table, *row)
        self.show(table)
        for line in wrap(pressure.NOTE, self.width):
            self.line(line)

    def _micro(self) -> None:
        if not self.record.micro:
            return
        self.line()
        table = self.table("micro-benchmark", "rounds", "per second", "P50", "P95", "P99", "max")
        for micro in self.record.micro:
            times = [duration(t) for t in (micro.p50, micro.p95, micro.p99, micro.max)]
            name = clean(f"{micro.group}: {micro.name}")
            self.row(table, name, f"{micro.rounds:,}", number(micro.per_second), *times)
        self.show(table)

    def _footnotes(self) -> None:
        if self.notes or self.signs:
            self.line()
        self.footnotes()
        for sign in sorted(self.signs):
            self.line(f"{sign[:1]}   {sign[2:]}")

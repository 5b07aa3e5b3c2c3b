"""A gate's record on a terminal or in a CI log."""

from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.core.gate import GateRecord, GateVerdict
from harness.report.gate import words
from harness.report.gate.rows import MetricRow, metric_rows
from harness.report.printer import Printer
from harness.report.units import clean

STYLES: Final = {
    GateVerdict.REGRESSION: "bold red",
    GateVerdict.WAIVED: "bold yellow",
    GateVerdict.INVALID: "bold magenta",
    GateVerdict.INCONCLUSIVE: "bold yellow",
    GateVerdict.NO_REGRESSION: "bold green",
    GateVerdict.IMPROVEMENT: "bold cyan",
}
"""The colour of each verdict; the word always stands beside it."""


def print_gate(record: GateRecord, console: Console) -> None:
    """Print a gate: verdict and why, what was compared, every metric, footnotes and what to do next.

    Args:
        record: the gate.
        console: where to; one that is no terminal is taken to be at least `printer.LOG_WIDTH` wide.
    """
    _Printer(console).everything(record)


class _Printer(Printer):
    def everything(self, record: GateRecord) -> None:
        for line in words.shortcomings(record):
            self.line(f"! {line}", "bold yellow")
        self.item(words.headline(record), "", STYLES[record.verdict])
        self.item(f"{words.tally(record)} · gate {clean(record.id)}", "")
        for reason in record.reasons:
            self.item(clean(reason))
        self.line()
        for name, line in words.sides(record):
            self.item(f"{name}: {line}", "")
        if record.metrics:
            self.line()
            self.metrics(record)
        if self.notes:
            self.line()
        self.footnotes()
        if record.notes:
            self.line()
        for note in record.notes:
            self.item(clean(note), "")
        self.line()
        self.item(f"Same again: {words.reproduce(record)}", "")
        for step in words.next_steps(record):
            self.item(f"Next: {step}", "", "bold")

    def item(self, text: str, indent: str = "  ", style: str = "") -> None:
        """A line that may have to be wrapped, its other lines further in."""
        for line in wrap(text, self.width, initial_indent=indent, subsequent_indent=f"{indent}  "):
            self.line(line, style)

    def metrics(self, record: GateRecord) -> None:
        """The gated metrics, and below them those that advise."""
        heads = ["gated", "verdict", "base", "head", "worse by", "95% CI", *["p adjusted"] * self.wide]
        table = self.table(*heads, left=2)
        for row in metric_rows(record, gated=True):
            self.row(table, *self.cells(row))
        if advising := metric_rows(record, gated=False):
            self.row(table, Text("advisory", "bold"), *[""] * (len(heads) - 1))
            for row in advising:
                self.row(table, *self.cells(row))
        self.show(table)

    def cells(self, row: MetricRow) -> list[str | Text]:
        """A metric's cells; what more there is to say becomes a footnote."""
        mark = f" {self.mark(row.footnote)}" if row.fresh else ""
        verdict = Text(self.encodable(f"{row.verdict}{mark}"), STYLES[row.verdict] if row.gated else "")
        return [row.name, verdict, row.base, row.head, row.worse, row.interval, *[row.p] * self.wide]

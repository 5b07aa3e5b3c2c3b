"""Two stored records side by side: on a terminal and as Markdown."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from textwrap import wrap
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from harness.core.comparison import ComparedFigure, Comparison, Finding, SideOfComparison
from harness.report.markdown import escape
from harness.report.printer import Printer
from harness.report.units import NOTHING, clean, duration, number, rate

NO_EVIDENCE: Final = (
    "Advice, not evidence for a gate: each record is one run, one sample of the machine's mood, and its intervals know "
    "nothing of other runs. Whether a change made it slower: membench gate"
)
NOT_COMPARABLE: Final = "INVALID: machine or settings are not the same, so that no figure has a verdict"
HEADS: Final = ("operation", "figure", "A", "B", "B / A", "95% CI", "")
STYLES: Final = {
    Finding.SLOWER: "bold red",
    Finding.LOWER: "bold red",
    Finding.FASTER: "bold green",
    Finding.HIGHER: "bold green",
    Finding.WITHIN_NOISE: "",
    Finding.NONE: "bold magenta",
}
"""The colour of each finding; the words always stand beside it."""


class FigureRow(NamedTuple):
    """One row, in words; `operation` is empty where it is the row above's."""

    operation: str
    figure: str
    a: str
    b: str
    ratio: str
    interval: str
    said: str
    finding: Finding


def headline(comparison: Comparison) -> str:
    """What came of it, in a sentence."""
    if not comparison.comparable:
        return NOT_COMPARABLE
    seen = [figure.finding for figure in comparison.figures if _shown(figure, False)]
    if all(finding is Finding.NONE for finding in seen):
        return "No figure has a verdict"
    return f"{len(seen)} figures: {', '.join(f'{seen.count(f)} {f}' for f in Finding if f in seen)}"


def rows(
    figures: Iterable[ComparedFigure], every_clock: bool, mark: Callable[[str], str] = ": {}".format
) -> Iterator[FigureRow]:
    """The rows of one scenario: its rates and response times, or all four clocks.

    Args:
        figures: of the scenario.
        every_clock: all four.
        mark: makes of the reason why a figure has no verdict what stands behind those words.
    """
    last = ""
    for figure in figures:
        if not _shown(figure, every_clock):
            continue
        name = clean(figure.operation) if figure.operation != last else ""
        last = figure.operation
        yield FigureRow(
            name,
            "rate" if figure.kind == "rate" else f"{figure.clock} P{figure.percentile:g}",
            _value(figure, figure.a),
            _value(figure, figure.b),
            NOTHING if figure.ratio is None else f"{figure.ratio:.3f}",
            _interval(figure),
            _said(figure, mark),
            figure.finding,
        )


def print_comparison(comparison: Comparison, console: Console, every_clock: bool = False) -> None:
    """Print it: what differs first, then the figures side by side, then what they are worth.

    Args:
        comparison: of two records.
        console: where to.
        every_clock: the service's, the server's and the generator's clock beside the response time.
    """
    out = Printer(console)
    for line in _sides(comparison):
        out.line(line)
    out.line(headline(comparison), "bold magenta" if not comparison.comparable else "bold")
    if comparison.differences:
        for one in comparison.differences:
            said = f"{one.name}: {_short(one.a)} in A, {_short(one.b)} in B"
            for line in wrap(clean(said), out.width, initial_indent="  ", subsequent_indent="    "):
                out.line(line)
    for name, figures in groupby(comparison.figures, lambda figure: figure.scenario):
        out.line()
        out.line(clean(name), "bold")
        table = out.table(*HEADS, left=2)
        table.columns[-1].justify = "left"
        for row in rows(figures, every_clock, lambda why: f" {out.mark(why)}"):
            out.row(table, *row[:-2], Text(out.encodable(row.said), STYLES[row.finding]))
        out.show(table)
    out.line()
    out.footnotes()
    for line in _notes(comparison, every_clock):
        for part in wrap(line, out.width):
            out.line(part)


def markdown(comparison: Comparison) -> str:
    """The same as GitHub-flavoured Markdown, with all four clocks."""
    lines = [f"# {escape(headline(comparison))}", ""]
    lines += [f"- {escape(line)}" for line in _sides(comparison)] + [""]
    if comparison.differences:
        cells = ((clean(one.name), _short(one.a), _short(one.b)) for one in comparison.differences)
        lines += ["## What differs", "", *_table(("Part", "A", "B"), cells, left=3)]
    for name, figures in groupby(comparison.figures, lambda figure: figure.scenario):
        lines += [f"## {escape(name)}", "", *_table(HEADS, (row[:-1] for row in rows(figures, True)), left=2)]
    lines += [f"- {escape(line)}" for line in _notes(comparison, True)]
    return "\n".join(lines).rstrip() + "\n"


def _shown(figure: ComparedFigure, every_clock: bool) -> bool:
    if figure.a is None and figure.b is None:
        return False
    return figure.kind == "rate" or every_clock or figure.clock == "response"


def _value(figure: ComparedFigure, value: float | None) -> str:
    return rate(value) if figure.kind == "rate" else duration(value)


def _interval(figure: ComparedFigure) -> str:
    if figure.low is None:
        return NOTHING
    return f"≥{figure.low:.3f}" if figure.high is None else f"{figure.low:.3f}–{figure.high:.3f}"


def _said(figure: ComparedFigure, mark: Callable[[str], str]) -> str:
    if figure.finding is Finding.NONE:
        return f"{figure.finding}{mark(figure.why)}"
    if figure.finding is Finding.WITHIN_NOISE or figure.ratio is None:
        return str(figure.finding)
    return f"{figure.finding} by {number(abs(figure.ratio - 1) * 100, 2)}%"


def _sides(comparison: Comparison) -> list[str]:
    return [line for letter, side in (("A", comparison.a), ("B", comparison.b)) for line in _side(letter, side)]


def _side(letter: str, side: SideOfComparison) -> list[str]:
    where = f", revision {clean(side.revision[:10])}{'+' * side.revision.endswith('+')}" if side.revision else ""
    alias = f" (run {clean(side.run)})" if side.name != side.run else ""
    head = f"{letter}: {clean(side.name)}{alias}, {clean(side.created_at)}{where}, {clean(side.service) or 'unknown'}"
    return [head, *(f"   ! {clean(trouble)}" for trouble in side.trouble)]


def _notes(comparison: Comparison, every_clock: bool) -> list[str]:
    notes = [clean(note[:1].upper() + note[1:]) + "." for note in comparison.notes]
    if comparison.a.run == comparison.b.run:
        notes.append("A and B are one and the same run.")
    judged = sum(f.finding is not Finding.NONE for f in comparison.figures if _shown(f, every_clock))
    if judged:
        notes.append(
            f"Were nothing changed, chance alone would still put up to {number(judged / 20, 1)} of {judged} figures "
            "outside their intervals."
        )
    if not comparison.comparable:
        notes.append("A stored record is compared with one of the same machine and settings, or not at all.")
    return [*notes, f"{NO_EVIDENCE}."]


def _short(text: str, most: int = 300) -> str:
    text = clean(text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _table(heads: Iterable[str], cells: Iterable[Iterable[str]], left: int) -> list[str]:
    heads = [head[:1].upper() + head[1:] for head in heads]
    rule = [":--" if index < left else "--:" for index in range(len(heads))]
    lines = [heads, rule, *([escape(cell) for cell in row] for row in cells)]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]

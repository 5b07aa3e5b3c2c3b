"""A history of gates: the latest ratios and where they changed, on a terminal, as Markdown and as a plot."""

import os
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich.console import Console

from harness.core.history import Change, Course, Point, Trend
from harness.report.canvas import INK, MUTED, SERIES, blank, caption, drawn, title
from harness.report.markdown import escape
from harness.report.printer import Printer
from harness.report.units import NOTHING, clean, number

HEADS: Final = ("metric", "gates", "latest", "95% CI", "changed")
ADVICE: Final = (
    "Ratios say how much worse head was than the reference: 1.10 is 10% worse. Changes are found by E-divisive with a "
    "permutation test at 5%: of series without any change, one in twenty shows one, and more where each value "
    "resembles the one before. Advice; only a gate is evidence."
)
CHANGE: Final = "#c23b00"
_PANEL: Final = 1.45
_MARGINS: Final = (0.75, 0.75)


def print_history(name: str, courses: list[Course], console: Console) -> None:
    """Print every course: its metrics, latest ratios and changes.

    Args:
        name: of the history.
        courses: the newest last.
        console: where to.
    """
    out = Printer(console)
    for course in courses:
        out.line(f"{name}: {heading(course)}", "bold")
        table = out.table(*HEADS)
        table.columns[-1].justify = "left"
        for row in _rows(course):
            out.row(table, *row)
        out.show(table)
        out.line()
    for line in wrap(_advice(courses), out.width):
        out.line(line)


def heading(course: Course) -> str:
    """Which gates these are."""
    first, last = (entry.created_at[:10] for entry in (course.entries[0], course.entries[-1]))
    when = first if first == last else f"{first} to {last}"
    gates = f"{len(course.entries)} gate{'s' if len(course.entries) != 1 else ''}"
    return f"{gates} against {course.base[:10]}, {when}; {clean(course.machine)}; conditions {course.conditions[:6]}"


def markdown(name: str, courses: list[Course], plot: str) -> str:
    """The history as GitHub-flavoured Markdown, the newest course first.

    Args:
        name: of the history.
        courses: the newest last.
        plot: path of the plot, relative to where the text will be.
    """
    lines = [f"# History of {escape(name)}", "", f"![Ratios over time]({plot})", ""]
    for course in reversed(courses):
        lines += [f"## {escape(heading(course))}", ""]
        lines += [f"| {' | '.join(HEADS)} |", "| :-- | --: | --: | --: | :-- |"]
        lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in _rows(course)]
        lines.append("")
    return "\n".join([*lines, escape(_advice(courses))]) + "\n"


def plot(courses: list[Course]) -> str:
    """The newest course as SVG: a panel for each metric, whiskers for intervals, a line for each change."""
    trends = courses[-1].trends if courses else []
    if not trends:
        return blank("There is no gate in this history.")
    height = _PANEL * len(trends) + sum(_MARGINS)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(trends), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=0.09, right=0.97, top=1 - _MARGINS[0] / height, bottom=_MARGINS[1] / height, hspace=0.55
        )
        places = {entry.gate: index for index, entry in enumerate(courses[-1].entries)}
        for one, trend in zip(axes, trends, strict=True):
            _panel(one, trend, [places[entry.gate] for entry in trend.entries])
        axes[-1].set_xlim(-0.6, len(places) - 0.4)
        days = [entry.created_at[:10] for entry in courses[-1].entries]
        ticks = sorted({round(place) for place in np.linspace(0, len(days) - 1, min(len(days), 7))})
        axes[-1].set_xticks(ticks, [days[index] for index in ticks])
        title(figure, f"Head against {courses[-1].base[:10]}: above 1 is worse")
        caption(figure, "A point for each gate with its 95% interval; red where a change was found. Advice.", height)

    return drawn(paint, 8.6, height)


def write(name: str, courses: list[Course], folder: Path) -> list[Path]:
    """Write NAME.svg and NAME.md beside the history, each whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    texts = {f"{name}.svg": plot(courses), f"{name}.md": markdown(name, courses, f"{name}.svg")}
    for file, text in texts.items():
        partial = folder / f"{file}.part"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, folder / file)
    return [folder / file for file in texts]


def _rows(course: Course) -> Iterable[tuple[str, ...]]:
    for trend in course.trends:
        latest = trend.points[-1]
        stale = "" if trend.entries[-1] is course.entries[-1] else f" ({trend.entries[-1].created_at[:10]})"
        changes = "; ".join(_told(trend, change) for change in trend.changes) or NOTHING
        yield clean(trend.metric), str(len(trend.points)), f"{latest.ratio:.3f}{stale}", _interval(latest), changes


def _told(trend: Trend, change: Change) -> str:
    """A change in words: when, between which revisions, from what to what."""
    by = change.after / change.before - 1
    when = trend.entries[change.index].created_at[:10]
    return f"{when} {_range(trend, change)} {number(abs(by) * 100, 2)}% {'worse' if by > 0 else 'better'}"


def _range(trend: Trend, change: Change) -> str:
    before, after = (trend.entries[index].head[:7] or "unknown" for index in (change.index - 1, change.index))
    return f"{clean(before)}..{clean(after)}"


def _interval(point: Point) -> str:
    if point.low is None:
        return NOTHING
    return f"≥{point.low:.3f}" if point.high is None else f"{point.low:.3f}–{point.high:.3f}"


def _advice(courses: list[Course]) -> str:
    series = sum(len(trend.points) >= 8 for course in courses for trend in course.trends)
    expected = f" Here that is {number(series / 20, 1)} of {series} series." if series else ""
    return ADVICE.replace(" Advice;", f"{expected} Advice;")


def _panel(axes: Axes, trend: Trend, places: list[int]) -> None:
    ratios = [point.ratio for point in trend.points]
    below = [p.ratio - p.low if p.low is not None else 0.0 for p in trend.points]
    above = [p.high - p.ratio if p.high is not None else 0.0 for p in trend.points]
    axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.errorbar(
        places, ratios, yerr=[below, above], fmt="o", markersize=3.5, color=SERIES[0], ecolor=SERIES[0], elinewidth=0.9
    )
    edges = [0, *(change.index for change in trend.changes), len(ratios)]
    levels = [trend.changes[0].before, *(change.after for change in trend.changes)] if trend.changes else []
    for level, first, last in zip(levels, edges, edges[1:], strict=False):
        axes.plot([places[first] - 0.4, places[last - 1] + 0.4], [level, level], color=INK, linewidth=1.2)
    for change in trend.changes:
        at = (places[change.index - 1] + places[change.index]) / 2
        axes.axvline(at, color=CHANGE, linewidth=1.2)
        axes.annotate(
            _range(trend, change),
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 2),
            textcoords="offset points",
            color=CHANGE,
            size=7.5,
        )
    axes.set_yscale("log")
    low, high = (
        min(1.0, *(r - d for r, d in zip(ratios, below, strict=True))),
        max(1.0, *(r + d for r, d in zip(ratios, above, strict=True))),
    )
    axes.set_ylim(min(low / 1.02, 0.95), max(high * 1.02, 1.05))
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(clean(trend.metric), loc="left", size=9, color=INK, pad=10 if trend.changes else 4)

"""Measured figures against what they must be."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.core.verdict import Verdict
from harness.report import canvas

_LEAST = 0.1
"""Milliseconds at the left edge: what is less stands there."""
_MARKS = {Verdict.PASS: "o", Verdict.FAIL: "s", Verdict.INVALID: "X"}


@dataclass(frozen=True)
class Agreement:
    """One figure. All in milliseconds.

    Attributes:
        group: what it belongs to; shown once for figures that follow each other.
        figure: its name.
        expected: from the least to the most that it should be.
        accepted: the same with the tolerance.
        measured: what it is.
        verdict: of it; None where nothing is said of it, drawn hollow.
    """

    group: str
    figure: str
    expected: tuple[float, float]
    accepted: tuple[float, float]
    measured: float
    verdict: Verdict | None


def agreement_plot(title: str, figures: Sequence[Agreement]) -> str:
    """SVG of figures on a log axis of time: a band for what is accepted, a tick for the expected, a dot measured."""
    if not figures:
        return canvas.blank(f"{title}: no time was measured")
    places, rows = _places(figures)
    height = 1.1 + 0.2 * rows

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.22, 0.62 / height, 0.75, 1 - 1.05 / height))
        axes.set_xscale("log")
        axes.set_xlim(_LEAST, max(max(one.accepted[1], one.measured) for one in figures) * 1.4)
        axes.set_ylim(rows - 0.3, -0.7)
        before = ""
        for one, y in zip(figures, places, strict=True):
            if one.group != before:
                before = one.group
                place = axes.get_yaxis_transform()
                axes.text(0.0, y - 1, one.group, transform=place, weight="bold", size=8.5, va="center")
            _row(axes, y, one)
        axes.set_yticks(list(places), [one.figure for one in figures], size=8)
        axes.tick_params(axis="y", length=0)
        axes.yaxis.grid(False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(LogLocator(base=10))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: canvas.short(value * 1e3)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        canvas.title(figure, title)
        canvas.caption(
            figure, "Tick: expected. Band: accepted. Dot: measured (square: FAIL, cross: INVALID, hollow: only shown)."
        )

    return canvas.drawn(paint, 8.6, height)


def _places(figures: Sequence[Agreement]) -> tuple[list[float], int]:
    """A row for each figure, and one above each group for its name; and how many rows that makes."""
    places, row, before = [], -1, ""
    for one in figures:
        row += 1 + (one.group != before)
        before = one.group
        places.append(float(row))
    return places, row + 1


def _row(axes: Axes, y: float, one: Agreement) -> None:
    low, high = (max(value, _LEAST) for value in one.accepted)
    axes.barh(y, high - low, left=low, height=0.62, color=canvas.FAINT, lw=0)
    for value in sorted(set(one.expected)):
        at = max(value, _LEAST)
        axes.plot([at, at], [y - 0.4, y + 0.4], color=canvas.INK, lw=1.1)
    colour = canvas.MUTED if one.verdict is None else canvas.VERDICTS[one.verdict]
    mark = "o" if one.verdict is None else _MARKS.get(one.verdict, "o")
    face = "white" if one.verdict is None else colour
    measured = max(one.measured, _LEAST)
    axes.plot([measured], [y], mark, ms=5, mfc=face, mec=colour, mew=1.1, clip_on=False, zorder=3)

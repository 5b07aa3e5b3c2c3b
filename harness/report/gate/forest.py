"""All metrics of a gate at a glance: how much worse head is, with intervals."""

import math
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.core.gate import GateRecord, GateVerdict, MetricResult
from harness.core.verdict import Verdict
from harness.report import canvas
from harness.report.gate.ratios import times
from harness.report.units import clean

COLOURS: Final = {
    GateVerdict.REGRESSION: canvas.VERDICTS[Verdict.FAIL],
    GateVerdict.WAIVED: canvas.VERDICTS[Verdict.WARN],
    GateVerdict.INVALID: canvas.VERDICTS[Verdict.INVALID],
    GateVerdict.INCONCLUSIVE: canvas.MUTED,
    GateVerdict.NO_REGRESSION: canvas.VERDICTS[Verdict.PASS],
    GateVerdict.IMPROVEMENT: canvas.SERIES[0],
}
"""The colour of each verdict, dark enough for text on white."""

_REACH = 4.0
"""Ratios further off than this stand at the edge, as arrows."""
_TICKS = (1.0, 2.0, 0.5, 4.0, 0.25, 1.5, 3.0, 1.2, 0.8, 1.1, 0.9, 1.3, 0.7, 1.05, 0.95, 1.15, 0.85)
"""Those that matter most come first: one too close to another that is there already is left out."""
_APART = 0.11
"""Share of the axis that a label needs."""


def forest_plot(record: GateRecord) -> str:
    """SVG of every metric's ratio with its 95% interval, on a log axis: worse is to the right.

    Gated metrics above those that advise; lines at "the same" and, per metric, at the least that matters and at the
    bound of NO REGRESSION. What is more than four times off stands at the edge, as an arrow.
    """
    gated = [result for result in record.metrics if result.metric.gated]
    advising = [result for result in record.metrics if not result.metric.gated]
    if not gated and not advising:
        return canvas.blank("nothing was compared")
    rows = len(gated) + len(advising) + 0.8 * bool(advising)
    height = 1.1 + 0.3 * rows

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.23, 0.62 / height, 0.46, 1 - 1.15 / height))
        bounds = {result.metric.name: record.rules.bound_of(result.metric) for result in record.metrics}
        low, high = reach([*gated, *advising], max(bounds.values()))
        ratio_axis(axes, low, high)
        axes.set_ylim(rows - 0.5, -0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.axvline(1, color=canvas.INK, lw=1)
        for y, result in enumerate(gated):
            _row(axes, y, result, bounds[result.metric.name])
        if advising:
            place = axes.get_yaxis_transform()
            axes.text(-0.03, len(gated) - 0.05, "advisory", transform=place, ha="right", color=canvas.MUTED, size=8.5)
        for y, result in enumerate(advising):
            _row(axes, len(gated) + 0.8 + y, result, bounds[result.metric.name])
        canvas.title(figure, "Head to base: to the right is worse")
        said = "Bar: 95% interval. Dotted: the least that matters. Dashed: the bound of NO REGRESSION."
        canvas.caption(figure, said, height)

    return canvas.drawn(paint, 8.6, height)


def reach(results: list[MetricResult], bound: float) -> tuple[float, float]:
    """Both ends of an axis that shows these intervals and the bound, within 4 times either way."""
    seen = [end for one in results for end in (one.low, one.ratio, one.high) if end is not None]
    low, high = min([1 / bound, *seen]) / 1.03, max([bound, *seen]) * 1.03
    return max(low, 1 / _REACH), min(high, _REACH)


def ratio_axis(axes: Axes, low: float, high: float) -> None:
    """A log x axis of ratios."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    apart = _APART * math.log(high / low)
    ticks: list[float] = []
    for tick in _TICKS:
        if low <= tick <= high and all(abs(math.log(tick / other)) >= apart for other in ticks):
            ticks.append(tick)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}×"))
    axes.tick_params(axis="x", length=0, labelsize=8.5)


def _row(axes: Axes, y: float, result: MetricResult, bound: float) -> None:
    gated = result.metric.gated
    colour = COLOURS[result.verdict]
    place = axes.get_yaxis_transform()
    ink = canvas.INK if gated else canvas.MUTED
    axes.text(-0.03, y, clean(result.metric.name), transform=place, ha="right", va="center", size=9, color=ink)
    figure = "" if result.ratio is None else f" · {times(result.ratio)}"
    weight = "bold" if gated else "normal"
    said = f"{result.verdict}{figure}"
    axes.text(1.03, y, said, transform=place, va="center", size=9, color=colour, weight=weight)
    least = result.metric.least
    axes.plot([least, least], [y - 0.38, y + 0.38], color=canvas.MUTED, lw=0.9, ls=":")
    axes.plot([bound, bound], [y - 0.5, y + 0.5], color=COLOURS[GateVerdict.REGRESSION], lw=1, ls=(0, (6, 3)))
    if result.ratio is None:
        return
    known = result.low is not None or result.high is not None
    low, high = axes.get_xlim()
    first = low if result.low is None else min(max(result.low, low), high)
    last = high if result.high is None else min(max(result.high, low), high)
    if known:
        axes.plot([first, last], [y, y], color=colour, lw=3.2 if gated else 2, alpha=0.45, solid_capstyle="butt")
    # An end that is not known, or lies further out, is an arrow.
    if known and (result.low is None or result.low < low):
        axes.plot([low], [y], "<", ms=5, color=colour, clip_on=False)
    if known and (result.high is None or result.high > high):
        axes.plot([high], [y], ">", ms=5, color=colour, clip_on=False)
    hollow = result.verdict in (GateVerdict.INVALID, GateVerdict.INCONCLUSIVE)
    face = "white" if hollow else colour
    at = min(max(result.ratio, low), high)
    axes.plot([at], [y], "o", ms=7 if gated else 5, mfc=face, mec=colour, mew=1.4, clip_on=False, zorder=3)

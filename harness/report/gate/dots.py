"""One metric pair by pair: how much worse head was, and both sides' figures."""

import math
from collections.abc import Callable
from html import escape
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from harness.core.gate import GateRecord, MetricResult, Pair, Side
from harness.core.rules import Metric
from harness.report import canvas
from harness.report.gate.ratios import worse
from harness.report.gate.rows import figure as shown
from harness.report.units import clean, rate

SIDE_COLOURS: Final[dict[Side, str]] = {"base": canvas.SERIES[0], "head": canvas.SERIES[1]}
"""Of each side, in all plots of a gate."""

_MARKS: Final[dict[Side, str]] = {"base": "o", "head": "D"}
_HEIGHT = 2.7
_CAPTION = (
    "Left: the ratio, above 1 is worse. Dotted: the estimate, in its 95% interval. Dashed: the bound. "
    "Hollow: does not count."
)
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def pairs_plot(record: GateRecord, result: MetricResult) -> str:
    """SVG of one metric over the pairs, in the order measured.

    Left: the log ratio of each pair, coloured by the side that came first, with the estimate and its interval as a
    band. Right: base's and head's figure of each pair, joined. Pairs that do not count are hollow, and every mark has
    a title with its figures and doubts.
    """
    metric = result.metric
    pairs = [pair for pair in record.pairs if pair.worse(metric) is not None]
    if not pairs:
        return canvas.blank(f"{metric.name}: no pair has a figure of both sides")

    def paint(figure: Figure) -> None:
        left = figure.add_axes((0.07, 0.2, 0.42, 0.64))
        _ratios(left, result, record.rules.bound_of(metric), pairs)
        right = figure.add_axes((0.57, 0.2, 0.38, 0.64))
        _figures(right, metric, pairs)
        for axes in (left, right):
            axes.set_xlim(0.2, record.pairs[-1].number + 0.8)
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            axes.tick_params(length=0, labelsize=8.5)
            axes.xaxis.grid(False)
        canvas.title(figure, f"{clean(metric.name)}, pair by pair")
        canvas.caption(
            figure,
            _CAPTION,
            _HEIGHT,
        )

    return _titled(canvas.drawn(paint, 8.6, _HEIGHT), metric, pairs)


def _ratios(axes: Axes, result: MetricResult, bound: float, pairs: list[Pair]) -> None:
    logs = [pair.worse(result.metric) or 0.0 for pair in pairs]
    if result.low is not None and result.high is not None:
        axes.axhspan(math.log(result.low), math.log(result.high), color=canvas.FAINT, alpha=0.6, lw=0)
    if result.ratio is not None:
        axes.axhline(math.log(result.ratio), color=canvas.INK, lw=1.2, ls=(0, (1, 2)))
    axes.axhline(0, color=canvas.INK, lw=1)
    axes.axhline(math.log(bound), color=canvas.MUTED, lw=1, ls=(0, (6, 3)))
    for pair, log in zip(pairs, logs, strict=True):
        first = pair.first.get(result.metric.block, "base")
        colour = SIDE_COLOURS[first]
        face = "white" if pair.doubts else colour
        (mark,) = axes.plot([pair.number], [log], _MARKS[first], ms=5, mfc=face, mec=colour, mew=1.2, zorder=3)
        mark.set_gid(f"ratio-{pair.number}")
    low, high = min([*logs, 0]), max([*logs, math.log(bound)])
    room = (high - low) * 0.08
    axes.set_ylim(low - room, high + room)
    _ticks(axes, high - low)
    _legend(axes, lambda side: f"{side} first")


def _ticks(axes: Axes, span: float) -> None:
    step = next((step for step in _STEPS if span / step <= 7), _STEPS[-1])
    low, high = axes.get_ylim()
    least, most = math.floor((math.exp(low) - 1) / step), math.ceil((math.exp(high) - 1) / step)
    ticks = [math.log(1 + step * n) for n in range(least, most + 1) if 1 + step * n > 0]
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda log, _: f"{math.exp(log):.3g}×"))


def _figures(axes: Axes, metric: Metric, pairs: list[Pair]) -> None:
    if metric.unit == "us":
        seen = [value for pair in pairs for value in pair.values[metric.name]]
        canvas.duration_axis(axes, min(seen) / 1.08, max(seen) * 1.08)
        axes.yaxis.set_minor_locator(NullLocator())
        _few_ticks(axes)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rate(value)))
    for pair in pairs:
        axes.plot([pair.number] * 2, pair.values[metric.name], color=canvas.FAINT, lw=1, zorder=1)
    for index, side in enumerate(SIDE_COLOURS):
        colour = SIDE_COLOURS[side]
        for pair in pairs:
            face = "white" if pair.doubts else colour
            value = pair.values[metric.name][index]
            (mark,) = axes.plot([pair.number], [value], _MARKS[side], ms=4.5, mfc=face, mec=colour, mew=1.1, zorder=3)
            mark.set_gid(f"{side}-{pair.number}")
    _legend(axes, str)


def _few_ticks(axes: Axes) -> None:
    """Ticks that a narrow log axis has none of: at round values of its own."""
    low, high = axes.get_ylim()
    if high / low < 6:
        ticks = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
        axes.yaxis.set_major_locator(FixedLocator(ticks))


def _legend(axes: Axes, name: Callable[[Side], str]) -> None:
    for index, (side, colour) in enumerate(SIDE_COLOURS.items()):
        at = 0.62 + 0.22 * index
        axes.plot([at - 0.025], [1.06], _MARKS[side], ms=4.5, color=colour, transform=axes.transAxes, clip_on=False)
        axes.text(at, 1.06, name(side), transform=axes.transAxes, va="center", size=8.5, color=canvas.INK)


def _titled(svg: str, metric: Metric, pairs: list[Pair]) -> str:
    """Give every mark a title in place of the id that it was drawn with."""
    for pair in pairs:
        base, head = pair.values[metric.name]
        ratio = math.exp(pair.worse(metric) or 0.0)
        said = [
            f"pair {pair.number}: {worse(metric, ratio)}",
            f"base {shown(metric, base)}",
            f"head {shown(metric, head)}",
        ]
        title = escape(clean("; ".join([", ".join(said), *pair.doubts])))
        for kind in ("ratio", *SIDE_COLOURS):
            svg = svg.replace(f'<g id="{kind}-{pair.number}">', f"<g><title>{title}</title>")
    return svg

"""What happened beside the requests, all on one time axis with their latency."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.core.readings import Event, Series
from harness.core.record import ScenarioResult
from harness.report import canvas
from harness.report.beside import GROUPS
from harness.report.frames import names_without_floor, total_frame
from harness.report.panels import Panel, panels
from harness.report.timeline import latency_lines
from harness.report.units import clean

_WIDTH: Final = 8.6
_LEFT, _SPAN = 0.09, 0.72
_TOP: Final = 1.45
_EACH: Final = 0.62
_GAP: Final = 0.30
_ROW: Final = 0.17
"""Inches: the latency panel, each other panel, the room between two for a title, one event."""
_NAMED: Final = 5
"""A panel names so many lines at most; of more, which are a large machine's cores, it names the highest."""
_EVENTS: Final = 10
_LETTERS: Final = 74
_WORST: Final = "#f0b64a"


def telemetry_plot(result: ScenarioResult) -> str:
    """SVG of everything read beside one scenario: small panels that share their time axis with the latency on top.

    Each panel holds what a reader compares (the cores, the backends, the caches) and is there only where something
    was read. A band through all of them marks the worst second; a strip shows what began and ended.
    """
    chosen = panels(result)
    events = sorted(sorted(result.telemetry.events, key=lambda e: -e.seconds)[:_EVENTS], key=lambda e: e.second)
    if not chosen and not events:
        return canvas.blank(f"{result.name}: nothing was read beside it")
    heights = [_TOP, *([_ROW * len(events) + 0.08] if events else []), *[_EACH] * len(chosen)]
    total = 0.42 + sum(heights) + _GAP * len(heights) + 0.56

    def paint(figure: Figure) -> None:
        canvas.title(figure, "What happened beside it")
        bottom, rooms = total - 0.42, []
        for height in heights:
            bottom -= _GAP + height
            rooms.append(figure.add_axes((_LEFT, bottom / total, _SPAN, height / total)))
        limits = _limits(result, chosen)
        for axes in rooms:
            axes.set_xlim(*limits)
            axes.tick_params(labelbottom=axes is rooms[-1], length=0, labelsize=8)
            _mark(axes, result)
        _latency(rooms[0], result)
        if events:
            _events(rooms[1], events)
        for axes, panel in zip(rooms[len(rooms) - len(chosen) :], chosen, strict=True):
            _panel(axes, panel)
        rooms[-1].set_xlabel("seconds since the measure phase began", size=8.5, labelpad=2)
        canvas.caption(figure, "Grey: warm-up and drain." + _said(result), inches=total)

    return canvas.drawn(paint, _WIDTH, total)


def _said(result: ScenarioResult) -> str:
    return " Amber: the worst second." if result.worst else ""


def _limits(result: ScenarioResult, chosen: list[Panel]) -> tuple[float, float]:
    ends = [0.0, result.seconds]
    ends += [one.values[index].second for panel in chosen for one in panel.series for index in (0, -1)]
    logged = [interval.second for log in result.operations for interval in log.intervals]
    ends += [float(min(logged)), float(max(logged) + 1)] if logged else []
    return min(ends), max(*ends, min(ends) + 1)


def _mark(axes: Axes, result: ScenarioResult) -> None:
    first, last = axes.get_xlim()
    for start, end in ((first, 0.0), (result.seconds, last)):
        if end > start:
            axes.axvspan(start, end, color="#667080", alpha=0.1, lw=0, zorder=0)
    if result.worst:
        # At least as wide as can be seen where the phase is long.
        width = max(1.0, (last - first) / 250)
        middle = result.worst.second + 0.5
        axes.axvspan(middle - width / 2, middle + width / 2, color=_WORST, alpha=0.4, lw=0, zorder=0)


def _latency(axes: Axes, result: ScenarioResult) -> None:
    names = names_without_floor(result)
    frame = total_frame(result, names, ("response", "lag")) if names else pd.DataFrame()
    _title(axes, "response and lag by when requests were due")
    ends = latency_lines(axes, frame, median=False) if not frame.empty else []
    if ends:
        canvas.label_ends(axes, ends, size=8.5)
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no request was answered", transform=axes.transAxes, ha="center", color=canvas.MUTED)


def _panel(axes: Axes, panel: Panel) -> None:
    _title(axes, panel.title)
    ordered = sorted(panel.series, key=_mean, reverse=True)
    crowded = len(ordered) > _NAMED
    top, ends = 0.0, []
    for index, series in enumerate(panel.series):
        seconds = np.array([sample.second for sample in series.values])
        values = np.array([sample.value for sample in series.values])
        named = not crowded or series in ordered[: _NAMED - 1]
        place = ordered.index(series) if crowded else index
        colour = canvas.SERIES[place % len(canvas.SERIES)] if named else canvas.FAINT
        axes.plot(seconds, values, color=colour, lw=1.3 if named else 0.8, zorder=3 if named else 2)
        known = values[np.isfinite(values)]
        top = max(top, float(known.max())) if known.size else top
        if named and known.size:
            ends.append((float(known[-1]), _shortened(clean(series.name), 24), colour))
    axes.set_ylim(0, 100 if panel.whole and top <= 100 else max(top * 1.12, _least(panel)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if crowded:
        ends.append((0.0, f"and {len(ordered) - _NAMED + 1} more", canvas.MUTED))
    # Five names need more room than a panel has: smaller type, then they reach a little beyond it.
    canvas.label_ends(axes, ends, size=8.0 if len(ends) < 5 else 7.2)


def _events(axes: Axes, events: list[Event]) -> None:
    _title(axes, "what began and ended")
    first, last = axes.get_xlim()
    axes.set_ylim(len(events) - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    colours = dict(zip(GROUPS, canvas.SERIES, strict=False))
    for row, event in enumerate(events):
        begin, end = max(event.second, first), min(event.second + event.seconds, last)
        width = max(end - begin, (last - first) / 250)
        axes.barh(row, width, left=begin, height=0.62, color=colours[event.group], lw=0)
        left = (begin + end) / 2 < (first + last) / 2
        room = (last - end) if left else (begin - first)
        letters = int(_LETTERS * 1.4 * room / (last - first))
        pad = (last - first) * 0.008
        axes.text(
            begin + width + pad if left else begin - pad,
            row,
            _shortened(_headline(event), max(letters, 12)),
            ha="left" if left else "right",
            va="center_baseline",
            size=7.8,
            color=canvas.INK,
        )


def _mean(series: Series) -> float:
    return float(np.nanmean([sample.value for sample in series.values]))


def _least(panel: Panel) -> float:
    """An axis' end for values that are all but nothing, so that noise is not drawn as large as life."""
    return 5.0 if panel.unit == "%" else 1.0


def _headline(event: Event) -> str:
    """What happened, without the statement that a lock held up: its end says more than its beginning."""
    text = clean(event.text)
    if event.kind == "lock" and " waited " in text:
        text = "waited " + text.partition(" waited ")[2]
    return f"{GROUPS[event.group]}: {text}"


def _shortened(text: str, letters: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= letters else f"{flat[: letters - 1].rstrip()}…"


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", size=8.5, color=canvas.MUTED, pad=3)

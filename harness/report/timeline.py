"""What happened second by second: latency above, throughput below."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.core.record import ScenarioResult
from harness.core.scenario import OpenArrivals, Piece
from harness.report import canvas
from harness.report.frames import names_without_floor, tail, total_frame
from harness.report.units import count, offered, seconds

_LAG = "#cc79a7"
_MAX = "#56b4e9"
_TAIL = "#0072b2"
_DONE = "#009e73"
_FAILED = "#d55e00"


def timeline_plot(result: ScenarioResult) -> str:
    """SVG of one scenario over time, all operations but the floor taken together.

    Above: the maximum, the median and the highest percentile that a second carries, of the response of the requests
    *due* in each second, and the generator's lag and the floor beside them, so that a reader sees who was slow.
    Below: requests that *ended* in each second, well or badly. Warm-up and drain are shaded.
    """
    names = names_without_floor(result)
    frame = total_frame(result, names, ("response", "lag")) if names else pd.DataFrame()
    if frame.empty:
        return canvas.blank(f"{result.name}: no request ended")

    def paint(figure: Figure) -> None:
        upper = figure.add_axes((0.09, 0.46, 0.76, 0.44))
        lower = figure.add_axes((0.09, 0.155, 0.76, 0.25), sharex=upper)
        _latency(upper, frame, _floor(result))
        _throughput(lower, frame, result)
        for axes in (upper, lower):
            _shade(axes, frame, result, labelled=axes is upper)
        upper.tick_params(labelbottom=False, length=0)
        lower.set_xlabel("seconds since the measure phase began", size=8.5, labelpad=2)
        canvas.title(figure, "Every second")
        canvas.caption(figure, _caption(result, names))

    return canvas.drawn(paint, 8.6, 4.9)


def _floor(result: ScenarioResult) -> pd.DataFrame:
    name = result.floor_operation
    return total_frame(result, [name], ("response",)) if name else pd.DataFrame()


def _latency(axes: Axes, frame: pd.DataFrame, floor: pd.DataFrame) -> None:
    axes.set_xlim(float(frame.index.min()), float(frame.index.max()) + 1)
    axes.set_title("response by when it was due", loc="left", size=8.5, color=canvas.MUTED, pad=3)
    ends = latency_lines(axes, frame, floor=floor)
    if ends:
        canvas.label_ends(axes, ends)
        return
    axes.text(0.5, 0.5, "no request was answered", transform=axes.transAxes, ha="center", color=canvas.MUTED)
    axes.set_yticks([])


def latency_lines(
    axes: Axes, frame: pd.DataFrame, *, median: bool = True, floor: pd.DataFrame | None = None
) -> list[tuple[float, str, str]]:
    """Draw the response and lag of each second, on a log axis that holds them all.

    A second's percentile is drawn only where the second has enough requests to carry it, so that most have a
    maximum and a P90 or P95.

    Args:
        axes: with the limits of its x axis set.
        frame: as `total_frame` gives it.
        median: whether the P50 is drawn.
        floor: the same frame of the no-op operation, where there is one.

    Returns:
        what `canvas.label_ends` needs to name them, lowest first; none where no request was answered.
    """
    high = tail(frame)
    lines = [(frame["response_max"], "max", 0.8, _MAX)]
    lines += [(frame[f"response_{high}"], _spoken(high), 1.8, _TAIL)] if high != "max" else []
    lines += [(frame["response_p50"], "P50", 1.8, canvas.INK)] if median else []
    lines.append((frame[f"lag_{high}"], f"lag {_spoken(high)}", 0.9, _LAG))
    if floor is not None and not floor.empty:
        lines.append((floor[f"response_{high}"], f"floor {_spoken(high)}", 1.0, canvas.FLOOR))
    known = np.concatenate([values.dropna().to_numpy(dtype=np.float64) for values, *_ in lines])
    if not known.size:
        return []
    known = np.maximum(known, 1.0)
    canvas.duration_axis(axes, float(known.min()) / 1.4, float(known.max()) * 1.4)
    ends = []
    for values, name, width, colour in lines:
        y = np.maximum(values.to_numpy(dtype=np.float64), 1.0)
        axes.plot(_middle(values), y, color=colour, lw=width, marker="o" if len(y) < 40 else "", ms=width * 1.6)
        found = y[np.isfinite(y)]
        if found.size:
            ends.append((float(found[-1]), name, colour))
    # Upwards, so that of two lines that end together the higher one keeps the higher name.
    return ends[::-1]


def _spoken(column: str) -> str:
    return column.replace("p", "P", 1)


def _throughput(axes: Axes, frame: pd.DataFrame, result: ScenarioResult) -> None:
    # Steps, since a second's count is of the whole second.
    edges = np.append(frame.index.to_numpy(dtype=np.float64), float(frame.index.max()) + 1)
    done = frame["completed"].to_numpy(dtype=np.float64)
    failed = frame["failed"].to_numpy(dtype=np.float64)
    axes.stairs(done, edges, color=_DONE, lw=1.4, fill=False)
    axes.stairs(done, edges, color=_DONE, alpha=0.14, fill=True)
    names = [(float(np.median(done)), "completed/s", _DONE)]
    if failed.any():
        axes.stairs(failed, edges, color=_FAILED, lw=1.4)
        names.append((float(failed[-1]), "failed/s", _FAILED))
    top = float(max(done.max(), failed.max(), 1.0))
    arrivals = result.scenario.arrivals
    if isinstance(arrivals, OpenArrivals):
        pieces = arrivals.pieces(result.scenario.phases.measure)
        _offered(axes, pieces)
        names.append((pieces[-1].last, f"offered {offered(pieces[-1].last)}", canvas.MUTED))
        top = max(top, arrivals.rate)
    axes.set_ylim(0, top * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    canvas.label_ends(axes, names)
    axes.set_title("requests by when they ended", loc="left", size=8.5, color=canvas.MUTED, pad=3)


def _offered(axes: Axes, pieces: tuple[Piece, ...]) -> None:
    ends = np.cumsum([0.0] + [piece.seconds for piece in pieces])
    x = [x for begin, end in pairwise(ends) for x in (begin, end)]
    y = [rate for piece in pieces for rate in (piece.first, piece.last)]
    # The warm-up has the rate that the measure phase begins with.
    axes.plot([axes.get_xlim()[0], *x], [y[0], *y], color=canvas.MUTED, lw=0.9, ls=(0, (6, 3)))


def _shade(axes: Axes, frame: pd.DataFrame, result: ScenarioResult, *, labelled: bool) -> None:
    first, last = float(frame.index.min()), float(frame.index.max()) + 1
    for start, end, name in ((first, 0.0, "warm-up"), (max(result.seconds, 0.0), last, "drain")):
        if end > start:
            axes.axvspan(start, end, color="#667080", alpha=0.1, lw=0, zorder=0)
            if labelled and result.seconds and (end - start) / (last - first) > 0.06:
                place = axes.get_xaxis_transform()
                x = start + (last - first) * 0.006
                axes.text(x, 0.97, name, transform=place, size=8, color=canvas.MUTED, va="top")


def _caption(result: ScenarioResult, names: list[str]) -> str:
    skipped = sum(log.tally.skipped for log in result.operations)
    said = [f"{', '.join(names)} together." if len(names) > 1 else ""]
    said.append("Of each second the highest percentile that its requests carry.")
    if skipped:
        said.append(f"{count(skipped)} requests were skipped.")
    if result.status != "complete":
        said.append(f"Cut short at {seconds(result.seconds)}.")
    return " ".join(part for part in said if part)


def _middle(frame: "pd.DataFrame | pd.Series[float]") -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    middle: np.ndarray[tuple[int], np.dtype[np.float64]] = frame.index.to_numpy(dtype=np.float64) + 0.5
    return middle

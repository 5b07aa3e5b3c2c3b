"""Latency by percentile, on the scale of HdrHistogram's own plots."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.core.histogram import Histogram
from harness.core.record import RunRecord, ScenarioResult, TargetResult
from harness.core.verdict import Verdict
from harness.report import canvas
from harness.report.figures import judged_clocks
from harness.report.units import MICROSECONDS, bound, clean

# A threshold further than this from the data is named in the caption: drawn, it would press the data flat.
_IN_SIGHT = 30.0
_POINTS = 500
_WIDTHS = {"response": 2.2, "service": 0.9, "server": 1.4}
_DASHES = {"response": "-", "service": "-", "server": (0, (4, 1.5))}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One distribution, ready to draw.

    Attributes:
        beyond: ascending, 1 at percentile 0, 2 at P50, 100 at P99: one request in so many is slower.
        value: microseconds there.
        carried: the largest of `beyond` that ten samples lie beyond.
    """

    name: str
    clock: str
    colour: str
    beyond: Floats
    value: Floats
    carried: float


def percentile_plot(record: RunRecord, result: ScenarioResult) -> str:
    """SVG of the latency distributions of one scenario.

    Per operation a thick line for the response clock, a thin one for service, a dashed one for the server's own
    clock where a target is judged by it; the floor beneath; and the bounds of the scenario's latency targets. A
    line ends in dots where fewer than ten samples lie beyond it. Censored requests count as slower than all others.
    """
    lines = _lines(result, "server" in judged_clocks(record, result.name))
    if not lines:
        return canvas.blank(f"{result.name}: no request was answered")
    targets = [t for t in record.targets if t.scenario == result.name and t.unit in MICROSECONDS]

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.09, 0.15, 0.76, 0.75))
        away = _limits(axes, lines, targets)
        for line in lines:
            draw(axes, line)
        names = [(float(line.value[-1]), _name(line, result), line.colour) for line in lines if line.clock != "service"]
        canvas.label_ends(axes, names)
        canvas.title(figure, "Latency by percentile")
        said = "Thick: response; thin: service. Dotted: fewer than ten samples beyond."
        canvas.caption(figure, " ".join([said, *away]))

    return canvas.drawn(paint, 8.6, 4.3)


def _lines(result: ScenarioResult, with_server: bool) -> list[Line]:
    lines = []
    clocks = ("response", "service", *["server"] * with_server)
    names = [log.name for log in result.operations if log.name != result.floor_operation]
    colours = dict(zip(names, canvas.SERIES * (len(names) // len(canvas.SERIES) + 1), strict=False))
    for log in result.operations:
        is_floor = log.name == result.floor_operation
        for clock in ("response",) if is_floor else clocks:
            histogram = result.histogram(log.name, clock)
            if not histogram.count:
                continue
            colour = canvas.FLOOR if is_floor else colours[log.name]
            lines.append(line(log.name, clock, colour, histogram, log.tally.censored))
    return lines


def line(name: str, clock: str, colour: str, histogram: Histogram, unknown_above: int) -> Line:
    """The line of a distribution.

    Args:
        name: beside its end.
        clock: response, service or server: how it is drawn.
        colour: of the line.
        histogram: not empty.
        unknown_above: requests known only to be slower than all in it.
    """
    percents, values = histogram.curve()
    total = histogram.count + unknown_above
    share = percents / 100 * histogram.count / total
    # Each bucket's step starts where the one below it ended.
    starts = 1 / (1 - np.concatenate([[0.0], share[:-1]]))
    ends = np.minimum(1 / np.maximum(1 - share, 1e-12), float(total))
    beyond, value = _thinned(starts, ends, np.maximum(values, 1).astype(np.float64))
    return Line(name, clock, colour, beyond, value, total / 10)


def _thinned(starts: Floats, ends: Floats, values: Floats) -> tuple[Floats, Floats]:
    """At most _POINTS points of the quantile function, evenly spaced on the axis they are drawn on."""
    at = np.geomspace(1.0, ends[-1], _POINTS) if ends[-1] > 1 else np.array([1.0])
    index = np.clip(np.searchsorted(starts, at, side="right") - 1, 0, len(values) - 1)
    return at, values[index]


def draw(axes: Axes, line: Line) -> None:
    """Draw it, in dots where fewer than ten samples lie beyond."""
    width, dashes = _WIDTHS[line.clock], _DASHES[line.clock]
    carried = line.beyond <= max(line.carried, 1.0)
    axes.plot(line.beyond[carried], line.value[carried], color=line.colour, lw=width, ls=dashes)
    rest = ~carried
    rest[:-1] |= rest[1:]  # Joined to the part before it.
    axes.plot(line.beyond[rest], line.value[rest], color=line.colour, lw=width * 0.6, ls=":")


def _limits(axes: Axes, lines: list[Line], targets: list[TargetResult]) -> list[str]:
    """Set both axes and draw the thresholds in sight; returns sentences on those out of sight."""
    low = min(float(line.value.min()) for line in lines)
    high = max(float(line.value.max()) for line in lines)
    right = max(float(line.beyond[-1]) for line in lines)
    shown, away = [], []
    for target in targets:
        for word, value in (("target", target.target), ("critical", target.critical)):
            at = value * MICROSECONDS[target.unit]
            text = f"{word} {bound(value, target.unit, target.better)}"
            if low / _IN_SIGHT <= at <= high * _IN_SIGHT:
                server = f" ({target.clock} clock)" if target.clock not in ("", "response") else ""
                shown.append(
                    (at, f"{text}{server}", canvas.VERDICTS[Verdict.WARN if word == "target" else Verdict.FAIL])
                )
            else:
                away.append(text)
    heights = [at for at, _, _ in shown]
    canvas.duration_axis(axes, min([low, *heights]) / 1.5, max([high, *heights]) * 1.6)
    percent_axis(axes, right)
    for at, text, colour in shown:
        axes.axhline(at, color=colour, lw=1, ls=(0, (6, 3)), zorder=1)
        place = axes.get_yaxis_transform()
        axes.text(0.008, at * 1.02, text, transform=place, color=colour, va="bottom", size=8.5)
    return [f"Out of sight: {', '.join(away)}."] if away else []


def percent_axis(axes: Axes, right: float) -> None:
    """A log x axis of how rare a request is, from all of them to one in `right`, labelled with percentiles."""
    axes.set_xscale("log")
    axes.set_xlim(1, max(right, 10))
    candidates = [(2, "50%"), (10, "90%"), (100, "99%")]
    candidates += [(10**n, f"99.{'9' * (n - 2)}%") for n in range(3, 8)]
    ticks = [(at, name) for at, name in candidates if at <= max(right, 10)]
    axes.xaxis.set_major_locator(FixedLocator([at for at, _ in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([name for _, name in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())


def _name(line: Line, result: ScenarioResult) -> str:
    name = clean(line.name)
    if line.name == result.floor_operation:
        return f"{name} (floor)"
    return f"{name}, server" if line.clock == "server" else name

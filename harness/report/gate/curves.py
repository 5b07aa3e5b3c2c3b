"""Both sides' latency by percentile, over all pairs that count."""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.core.gate import SIDES, GateRecord, Side
from harness.report import canvas
from harness.report.gate.dots import SIDE_COLOURS
from harness.report.percentiles import draw, line, percent_axis
from harness.report.units import clean


@dataclass(frozen=True)
class Pooled:
    """What a curve is drawn of."""

    block: str
    operation: str
    clock: str


def pooled(record: GateRecord) -> list[Pooled]:
    """Of each latency that is gated: block, operation and clock, once."""
    gated = (metric for metric in record.rules.metrics if metric.gated and metric.kind == "latency")
    return list(dict.fromkeys(Pooled(metric.block, metric.operation, metric.clock) for metric in gated))


def curve_plot(record: GateRecord, what: Pooled) -> str:
    """SVG of base's and head's latency distribution, on the scale of HdrHistogram's own plots.

    All requests of all pairs that count, in one histogram: to look at, not what the verdict is made from. A line ends
    in dots where fewer than ten samples lie beyond it. Requests without an answer count as slower than all others.
    """
    lines = []
    for side in SIDES:
        histogram = record.pooled(side, what.block, what.operation, what.clock)
        if histogram.count:
            unanswered = sum(_unanswered(record, side, what))
            lines.append(line(side, "response", SIDE_COLOURS[side], histogram, unanswered))
    name = f"{clean(what.operation)} in {clean(what.block)}"
    if not lines:
        return canvas.blank(f"{name}: no request of a pair that counts was answered")

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.09, 0.17, 0.83, 0.71))
        low = min(float(one.value.min()) for one in lines)
        high = max(float(one.value.max()) for one in lines)
        canvas.duration_axis(axes, low / 1.2, high * 1.3)
        percent_axis(axes, max(float(one.beyond[-1]) for one in lines))
        for one in lines:
            draw(axes, one)
        canvas.label_ends(axes, [(float(one.value[-1]), one.name, one.colour) for one in lines])
        canvas.title(figure, f"{name}: {what.clock} time by percentile")
        canvas.caption(figure, "All pairs that count, together. Dotted: fewer than ten samples beyond.", 3.7)

    return canvas.drawn(paint, 8.6, 3.7)


def _unanswered(record: GateRecord, side: Side, what: Pooled) -> Iterator[int]:
    for pair in record.counted:
        block = pair.block(side, what.block)
        if block is not None and what.operation in block.tallies:
            yield block.unanswered(what.operation)

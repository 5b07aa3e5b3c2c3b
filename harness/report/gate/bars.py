"""Intervals drawn with characters, for comments that cannot hold a picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.gate import MetricResult
from harness.report.gate.ratios import times
from harness.report.units import clean

WIDTH = 48
"""Characters from the left end of the axis to the right."""
_REACH = 3.0
"""Ratios further off than this stand at the edge, as arrows."""


@dataclass(frozen=True)
class _Axis:
    """A log axis of ratios."""

    low: float
    high: float

    def column(self, ratio: float) -> int:
        """Where a ratio stands, 0 to WIDTH - 1; -1 and WIDTH for what lies beyond the ends."""
        if not self.low <= ratio <= self.high:
            return -1 if ratio < self.low else WIDTH
        return round((WIDTH - 1) * math.log(ratio / self.low) / math.log(self.high / self.low))


def interval_bars(results: Sequence[MetricResult], bound: float) -> list[str]:
    """A line per metric with its interval, and an axis below.

    Args:
        results: in the order drawn; those without a ratio have an empty line.
        bound: the ratio that NO REGRESSION must stay below, drawn dotted; a metric's own where it has one. 1 is drawn
            as a line.

    Returns:
        lines of one width but for the verdicts at their ends, `<` and `>` where an interval goes on.
    """
    axis = _axis(results, bound)
    names = [clean(result.metric.name) for result in results]
    indent = max(map(len, names), default=0) + 2
    lines = [
        f"{name:<{indent}}{_bar(result, axis, bound)}  {result.verdict}"
        for name, result in zip(names, results, strict=True)
    ]
    return [*lines, " " * indent + _labels(axis, bound)]


def _axis(results: Sequence[MetricResult], bound: float) -> _Axis:
    seen = [end for r in results for end in (r.low, r.ratio, r.high, r.metric.bound) if end is not None]
    low, high = min([1 / bound, *seen]), max([bound, *seen])
    return _Axis(max(low, 1 / _REACH) / 1.02, min(high, _REACH) * 1.02)


def _bar(result: MetricResult, axis: _Axis, bound: float) -> str:
    cells = [" "] * WIDTH
    cells[axis.column(1.0)] = "│"
    if result.ratio is not None:
        _interval(cells, result, result.ratio, axis)
    at = axis.column(result.metric.bound or bound)
    if 0 <= at < WIDTH and cells[at] in " ─":
        cells[at] = "┊"
    return "".join(cells)


def _interval(cells: list[str], result: MetricResult, ratio: float, axis: _Axis) -> None:
    estimate = axis.column(ratio)
    if result.low is None and result.high is None:
        cells[min(max(estimate, 0), WIDTH - 1)] = "╋"  # so few pairs have no interval
        return
    left = -1 if result.low is None else axis.column(result.low)
    right = WIDTH if result.high is None else axis.column(result.high)
    first, last = min(max(left, 0), WIDTH - 1), min(max(right, 0), WIDTH - 1)
    for column in range(first, last + 1):
        cells[column] = "┼" if cells[column] == "│" else "─"
    cells[first], cells[last] = "├", "┤"
    if 0 <= estimate < WIDTH:
        cells[estimate] = "╋"
    # An arrow last: what goes on beyond the edge must not look as if it ended there.
    if left < 0:
        cells[0] = "<"
    if right >= WIDTH:
        cells[-1] = ">"


def _labels(axis: _Axis, bound: float) -> str:
    cells = [" "] * WIDTH
    ends = (("better", 0), ("worse", WIDTH - 1))
    for word, at in (("1×", axis.column(1.0)), (times(bound), axis.column(bound)), *ends):
        start = min(max(at - len(word) // 2, 0), WIDTH - len(word))
        if not "".join(cells[max(start - 1, 0) : start + len(word) + 1]).strip():
            cells[start : start + len(word)] = word
    return "".join(cells).rstrip()

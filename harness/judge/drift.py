"""What moved over a phase that should have stood still: latency, rate, memory."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from scipy.stats import theilslopes

from harness.core.histogram import Histogram, merged
from harness.core.readings import Drift, Group
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import OpenArrivals

LEAST_SECONDS: Final = 60.0
"""Shorter phases have no drift: what moves in them is the end of the warm-up."""
WINDOWS: Final = 60
"""Stretches that a phase is cut into: the interval takes its points as independent, and seconds in a row are not."""
LEAST_SHARE: Final = {"ms": 0.2, "1/s": 0.02, "MiB": 0.05}
"""Share of where a quantity began by which it must have moved over the phase to be news, by its unit.

Taken at the end of the slope's interval that is nearer to none. Latencies on a shared machine wander by a tenth with
nobody's doing; an offered rate does not; a process that holds 5% more after the phase has kept something.
"""

GENERATOR: Final = "generator memory"
SERVICE: Final = "service memory"
_MEMORY: Final[tuple[tuple[str, Group, str], ...]] = (
    (GENERATOR, "generator", "memory"),
    (SERVICE, "service", "resident memory"),
)

_Points = list[tuple[float, float]]


def drifts(result: ScenarioResult) -> list[Drift]:
    """How each quantity moved over the measure phase: response P50 and P99 of each operation, the rate, memories.

    The slope is Theil and Sen's, the median of the slopes between all pairs of points (Sen, Estimates of the
    Regression Coefficient Based on Kendall's Tau, JASA 63, 1968): a stall of some seconds does not bend it.

    Returns:
        one for each quantity, whether it moved or not; none for a phase below LEAST_SECONDS, or one whose load was
        itself planned to change.
    """
    if result.seconds < LEAST_SECONDS or not _steady(result):
        return []
    found = [_drift(*series) for series in _series(result)]
    return [drift for drift in found if drift is not None]


def is_news(drift: Drift, seconds: float) -> bool:
    """Whether a drift is surely there and large enough to speak of.

    Args:
        drift: one of `drifts`.
        seconds: length of the measure phase.
    """
    least = min(abs(drift.low), abs(drift.high)) * seconds / 60
    return drift.significant and least > LEAST_SHARE[drift.unit] * drift.start


def told(result: ScenarioResult) -> Iterator[str]:
    """A sentence for each drift of a result that is news.

    Not a doubt: memory that the generator keeps takes nothing from its stamps, and what would (lag, CPU) is judged by
    itself. It is said, so that nobody takes the instrument's growth for the service's, or trusts it with a week.
    """
    for drift in result.drifts:
        if not is_news(drift, result.seconds):
            continue
        per = f"{drift.per_minute:+.3g} {drift.unit} a minute (95% {drift.low:+.3g} to {drift.high:+.3g})"
        text = f"{result.name}: {drift.name} drifts from {drift.start:.3g} {drift.unit} by {per}"
        if drift.unit == "MiB":
            text += f": {drift.per_minute * 60:+.3g} MiB an hour if it goes on"
        if drift.name == GENERATOR:
            text += "; this is membench's own growth, not the service's"
        yield text


def _steady(result: ScenarioResult) -> bool:
    """Whether the load was to be the same throughout."""
    arrivals = result.scenario.arrivals
    if not isinstance(arrivals, OpenArrivals):
        return True
    first, *more = arrivals.pieces(result.scenario.phases.measure)
    return first.steady and not more


def _series(result: ScenarioResult) -> Iterator[tuple[str, str, _Points]]:
    """Name, unit, and points of (seconds, value) of all that should stand still."""
    length = max(int(result.seconds) / WINDOWS, 1.0)
    done = np.zeros(WINDOWS)
    for log in result.operations:
        if log.name == result.floor_operation:
            continue
        histograms = list(_windows(log, length))
        for percent in (50, 99):
            values = [(middle, histogram.percentile(percent)) for middle, histogram in histograms]
            points = [(middle, value / 1e3) for middle, value in values if value is not None]
            yield f"{log.name} response P{percent}", "ms", points
        for interval in log.intervals:
            if 0 <= interval.second < WINDOWS * length:
                done[min(int(interval.second / length), WINDOWS - 1)] += interval.completed
    # A window holds whole seconds, not always as many as another.
    widths = np.bincount((np.arange(int(WINDOWS * length)) / length).astype(int), minlength=WINDOWS)
    yield "rate", "1/s", [((n + 0.5) * length, float(done[n] / widths[n])) for n in range(WINDOWS)]
    for name, group, series_name in _MEMORY:
        series = result.telemetry.find(group, series_name)
        if series is not None:
            measured = [(s.second, s.value) for s in series.values if 0 <= s.second <= result.seconds]
            yield name, "MiB", _medians(measured, length)


def _windows(log: OperationLog, length: float) -> Iterator[tuple[float, Histogram]]:
    """The middle of each window, and the histogram of its seconds' responses."""
    parts: dict[int, list[str]] = {}
    for interval in log.intervals:
        window = int(interval.second / length)
        if interval.second >= 0 and window < WINDOWS and "response" in interval.histograms:
            parts.setdefault(window, []).append(interval.histograms["response"])
    for window in sorted(parts):
        yield (window + 0.5) * length, merged(map(Histogram.decode, parts[window]))


def _medians(points: Sequence[tuple[float, float]], length: float) -> _Points:
    parts: dict[int, list[float]] = {}
    for second, value in points:
        parts.setdefault(int(second / length), []).append(value)
    return [((window + 0.5) * length, float(np.median(parts[window]))) for window in sorted(parts)]


def _drift(name: str, unit: str, points: _Points) -> Drift | None:
    if len(points) < WINDOWS / 2:
        return None
    x, y = np.array(points).T
    slope, _, low, high = theilslopes(y, x / 60, alpha=0.95)
    start = float(np.median(y[: max(len(y) // 10, 1)]))
    return Drift(name, unit, start, float(slope), float(low), float(high))

"""The figures of a record as pandas frames, for the plots and for one's own analysis in a notebook.

from pathlib import Path
from harness.core.record import load
from harness.report.frames import seconds_frame

record = load(Path("results/runs/<id>"))
frame = seconds_frame(record.scenarios[0])
frame.loc["get", ["response_p99", "lag_p99"]].plot()
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from harness.core.histogram import PERCENTS, Histogram, enough_for, merged
from harness.core.record import RunRecord, ScenarioResult
from harness.core.recorder import CLOCKS, Interval

SECOND_PERCENTS: Sequence[float] = (50, 90, 95, 99)

_NAMES = tuple(f"p{percent:g}" for percent in SECOND_PERCENTS)


def seconds_frame(result: ScenarioResult, clocks: Sequence[str] = CLOCKS) -> pd.DataFrame:
    """Per-second figures of each operation.

    Args:
        result: a scenario's.
        clocks: those to read; fewer are faster.

    Returns:
        a frame indexed by operation and second (whole seconds since the measure phase began, negative during
        warm-up). `completed` and `failed` count answers by when they *ended*; `<clock>_count`, `<clock>_max` and one
        column for each of SECOND_PERCENTS, such as `<clock>_p99`, are of the successful requests *due* in the second,
        microseconds, NaN where there were none or too few to carry the percentile.
    """
    frames = {log.name: _log_frame(log.intervals, clocks) for log in result.operations}
    return pd.concat(frames, names=["operation", "second"]) if frames else _empty(clocks)


def total_frame(result: ScenarioResult, operations: Iterable[str], clocks: Sequence[str] = CLOCKS) -> pd.DataFrame:
    """Per-second figures of several operations taken together; their histograms are merged.

    Returns:
        the columns of `seconds_frame`, indexed by every second from the first to the last.
    """
    chosen = [result.operation(name) for name in operations]
    by_second: dict[int, list[Interval]] = {}
    for log in chosen:
        for interval in log.intervals:
            by_second.setdefault(interval.second, []).append(interval)
    if not by_second:
        return _empty(clocks).droplevel("operation")
    seconds = range(min(by_second), max(by_second) + 1)
    rows = [_row(by_second.get(second, []), clocks) for second in seconds]
    return pd.DataFrame(rows, index=pd.Index(seconds, name="second"))


def operations_frame(record: RunRecord) -> pd.DataFrame:
    """The measure phase's percentiles of every scenario, operation and clock.

    Returns:
        a frame indexed by scenario, operation and clock with `count`, one column for each of PERCENTS ("p50",
        "p99.9") and `max`, microseconds. A percentile that the sample does not carry, or that lies among requests
        never answered, is NaN.
    """
    rows = {
        (result.name, log.name, clock): _summary(
            result.histogram(log.name, clock), result.unknown_above(log.name, clock)
        )
        for result in record.scenarios
        for log in result.operations
        for clock in CLOCKS
    }
    columns = ["count", *(f"p{percent:g}" for percent in PERCENTS), "max"]
    index = pd.MultiIndex.from_tuples(list(rows), names=["scenario", "operation", "clock"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def targets_frame(record: RunRecord) -> pd.DataFrame:
    """The targets, one a row, indexed by id."""
    columns = ["title", "scenario", "verdict", "value", "unit", "target", "critical"]
    columns += ["better", "clock", "floor"]
    rows = [[getattr(target, column) for column in columns] for target in record.targets]
    ids = pd.Index([target.id for target in record.targets], name="id")
    return pd.DataFrame(rows, columns=columns, index=ids)


def _log_frame(intervals: Sequence[Interval], clocks: Sequence[str]) -> pd.DataFrame:
    rows = [_row([interval], clocks) for interval in intervals]
    index = pd.Index([interval.second for interval in intervals], name="second")
    return pd.DataFrame(rows, index=index, columns=_columns(clocks))


def _row(parts: Sequence[Interval], clocks: Sequence[str]) -> dict[str, float]:
    row: dict[str, float] = {
        "completed": sum(part.completed for part in parts),
        "failed": sum(part.failed for part in parts),
    }
    for clock in clocks:
        histogram = merged(Histogram.decode(part.histograms[clock]) for part in parts if clock in part.histograms)
        row[f"{clock}_count"] = histogram.count
        for percent in SECOND_PERCENTS:
            row[f"{clock}_p{percent:g}"] = _carried(histogram, percent)
        row[f"{clock}_max"] = float(histogram.max) if histogram.count else np.nan
    return row


def _carried(histogram: Histogram, percent: float, unknown: int = 0) -> float:
    """A percentile, NaN where the sample does not carry it."""
    enough = histogram.count + unknown >= enough_for(percent)
    value = histogram.percentile(percent, unknown_above=unknown) if enough else None
    return np.nan if value is None else float(value)


def _summary(histogram: Histogram, unknown: int) -> list[float]:
    values = [_carried(histogram, percent, unknown) for percent in PERCENTS]
    return [histogram.count, *values, float(histogram.max) if histogram.count else np.nan]


def _columns(clocks: Sequence[str]) -> list[str]:
    return [
        "completed",
        "failed",
        *(f"{clock}_{name}" for clock in clocks for name in ("count", *_NAMES, "max")),
    ]


def _empty(clocks: Sequence[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([[], []], names=["operation", "second"])
    return pd.DataFrame(columns=_columns(clocks), index=index, dtype=float)


def tail(frame: pd.DataFrame, clock: str = "response") -> str:
    """The column of the highest percentile that at least half of the seconds with answers carry, "max" for none.

    Returns:
        "p99", "p95" or "p90", or "max": prefix it with a clock.
    """
    answered = int((frame[f"{clock}_count"] > 0).sum())
    names = (name for name in reversed(_NAMES) if name != "p50")
    return next((name for name in names if frame[f"{clock}_{name}"].notna().sum() * 2 >= max(answered, 1)), "max")


def names_without_floor(result: ScenarioResult) -> list[str]:
    """The operations of a scenario's mix; its interleaved no-op requests are not among them."""
    return [log.name for log in result.operations if log.name != result.floor_operation]

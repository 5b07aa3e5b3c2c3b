"""Waivers: regressions that somebody has accepted, until a day."""

from collections.abc import Iterator, Sequence
from datetime import date

from harness.core.errors import UsageError
from harness.core.gate import GateVerdict, MetricResult
from harness.core.rules import Metric, Waiver


def check(waivers: Sequence[Waiver], metrics: Sequence[Metric]) -> None:
    """See that every waiver names a metric: one with a slip of the pen would waive nothing, and nobody would know.

    Raises:
        UsageError: one does not.
    """
    names = [metric.name for metric in metrics]
    unknown = [f'"{waiver.metric}"' for waiver in waivers if waiver.metric not in names]
    if unknown:
        raise UsageError(f"a waiver names no metric: {', '.join(unknown)}", hint=f"metrics are: {', '.join(names)}")


def holding(waivers: Sequence[Waiver], metric: Metric, today: date) -> bool:
    """Whether one covers the metric today; its last day is such a day."""
    waiver = covering(waivers, metric)
    return waiver is not None and today <= waiver.until


def covering(waivers: Sequence[Waiver], metric: Metric) -> Waiver | None:
    """The waiver of a metric, holding or not; of several the one that lasts longest."""
    return max((one for one in waivers if one.metric == metric.name), key=lambda one: one.until, default=None)


def apply(result: MetricResult, waivers: Sequence[Waiver], today: date) -> None:
    """Turn a regression into WAIVED where a waiver holds; say so where it held once, or is not meant for so much."""
    waiver = covering(waivers, result.metric)
    if waiver is None or result.verdict != GateVerdict.REGRESSION:
        return
    result.waiver = waiver
    if waiver.most is not None and (result.ratio or 0) > waiver.most:
        result.reasons.append(f"its waiver accepts up to {waiver.most:g}× and no more: {waiver.reason}")
    elif holding(waivers, result.metric, today):
        result.verdict = GateVerdict.WAIVED
        result.reasons.append(f"waived until {waiver.until}: {waiver.reason}")
    else:
        result.reasons.append(f"its waiver expired on {waiver.until}: {waiver.reason}")


def idle(results: Sequence[MetricResult], waivers: Sequence[Waiver]) -> Iterator[str]:
    """A sentence for each waiver that covers nothing, so that none outlives what it was written for."""
    verdicts = {result.metric.name: result.verdict for result in results}
    for waiver in waivers:
        if verdicts[waiver.metric] in (GateVerdict.NO_REGRESSION, GateVerdict.IMPROVEMENT):
            yield f'the waiver of "{waiver.metric}" covers nothing, it did not regress: it can be removed'

"""Two stored records: by what ratio each figure differs, and whether more than chance would make it.

Each record is one run. Its intervals tell how a figure varies from second to second within that run; how it varies from
one run to the next, or from one day of the machine to another, no single record knows. What is found here is advice.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from harness.core.baseline import objections
from harness.core.blocks import CONFIDENCE, LEAST_SECONDS, block_seconds
from harness.core.comparison import ComparedFigure, Comparison, Finding, SideOfComparison
from harness.core.fingerprint import of_run
from harness.core.histogram import enough_for
from harness.core.record import RunRecord, ScenarioResult
from harness.core.recorder import CLOCKS, Tally
from harness.core.scenario import FLOOR
from harness.core.verdict import Verdict

PERCENTILES: Final = (50.0, 95.0, 99.0)
MOST_FAILURES: Final = 0.01
"""Difference of the shares that failed from which on latencies are of other requests, and are not compared."""
_RESOLUTION: Final = 1e-3
"""Of a histogram's bucket, relative; at least one microsecond."""

Ends = tuple[float, float]


def compare(a: RunRecord, b: RunRecord, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare B with A, figure by figure.

    Args:
        a: what is compared with.
        b: what is compared.
        names: what the user calls them.

    Returns:
        the figures of all scenarios and operations that both have. Where the fingerprints differ, no figure has a
        verdict.
    """
    differences = of_run(a).differences(of_run(b))
    figures: list[ComparedFigure] = []
    notes: list[str] = []
    for before in a.scenarios:
        if (after := b.scenario(before.name)) is None:
            continue
        logs = {log.name for log in after.operations}
        for name in (log.name for log in before.operations if log.name in logs):
            why = _doubt(before, after, name) or ("not comparable" if differences else "")
            for figure in _figures(before, after, name):
                if why:
                    figure.finding, figure.why = Finding.NONE, why
                figures.append(figure)
            notes += _note(before, after, name)
    notes += [f"only in {side}: {missing}" for side, missing in (("A", _only(a, b)), ("B", _only(b, a))) if missing]
    return Comparison(_side(a, names[0]), _side(b, names[1]), differences, figures, notes + _mood(figures))


def ratio_interval(a: float, ends_a: Ends, b: float, ends_b: Ends) -> Ends:
    """The 95% interval of b / a, from the intervals of both, which need not be symmetric.

    On the log scale, by the method of variance estimates recovery (Zou and Donner 2008): each end is as far from the
    ratio as the distances of the two ends that make it, added as independent errors are.

    Args:
        a: above 0.
        ends_a: its interval; a lower end of 0 and an upper one of infinity are none.
        b: above 0.
        ends_b: likewise.

    Returns:
        both ends; 0 and infinity where there is none.
    """
    ratio = math.log(b / a)
    below = math.hypot(_log(b, ends_b[0]), _log(ends_a[1], a))
    above = math.hypot(_log(ends_b[1], b), _log(a, ends_a[0]))
    return math.exp(ratio - below), math.exp(ratio + above)


def rate_ratio_interval(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Ends | None:
    """The 95% interval of the ratio of two rates, second by second.

    Runs of one seed have the same arrivals in the same second, so that what varies is what B's answers have beyond or
    lack of the ratio's share of A's: the ratio estimator's variance (Cochran 1977, 6.3), from the means of batches of
    seconds, whose distribution is Student's t. Where the arrivals are not the same, it varies more and is as true.

    Args:
        a: answers in each second of the measure phase.
        b: likewise.

    Returns:
        both ends; None where a phase is shorter than LEAST_SECONDS, they differ in length, or nothing was answered.
    """
    if len(a) != len(b) or len(a) < LEAST_SECONDS or not a.any():
        return None
    ratio = float(b.mean() / a.mean())
    length = block_seconds(len(a))
    batches = len(a) // length
    means = (b - ratio * a)[: batches * length].reshape(batches, length).mean(axis=1)
    half = float(stdtrit(batches - 1, (1 + CONFIDENCE) / 2) * means.std(ddof=1) / math.sqrt(batches) / a.mean())
    return max(ratio - half, 0.0), ratio + half


def _figures(a: ScenarioResult, b: ScenarioResult, operation: str) -> Iterator[ComparedFigure]:
    rate = ComparedFigure(a.name, operation, "rate", a=a.achieved_rate(operation), b=b.achieved_rate(operation))
    yield _judged(rate, rate_ratio_interval(*(_completed(side, operation) for side in (a, b))))
    for clock in CLOCKS:
        for percent in PERCENTILES:
            before, after = (_percentile(side, operation, clock, percent) for side in (a, b))
            figure = ComparedFigure(a.name, operation, "latency", clock, percent, before, after)
            ends = [_ends(side, operation, clock, percent) for side in (a, b)]
            yield _judged(figure, _ratio_interval(before, ends[0], after, ends[1]))


def _ratio_interval(a: float | None, ends_a: Ends | None, b: float | None, ends_b: Ends | None) -> Ends | None:
    if not a or not b or ends_a is None or ends_b is None:
        return None
    return ratio_interval(a, ends_a, b, ends_b)


def _judged(figure: ComparedFigure, ends: Ends | None) -> ComparedFigure:
    """The figure with its ratio and what is said of it."""
    if not figure.a or not figure.b:
        figure.why = "too few requests"
        return figure
    figure.ratio = figure.b / figure.a
    if ends is None:
        figure.why = f"a phase under {LEAST_SECONDS} s"
        return figure
    low, high = ends
    less, more = (Finding.LOWER, Finding.HIGHER) if figure.kind == "rate" else (Finding.FASTER, Finding.SLOWER)
    figure.low, figure.high = low, high if math.isfinite(high) else None
    figure.finding = less if high < 1 else more if low > 1 else Finding.WITHIN_NOISE
    return figure


def _percentile(result: ScenarioResult, operation: str, clock: str, percent: float) -> float | None:
    """Microseconds; None where the sample does not carry the percentile, or it lies among the unanswered."""
    histogram, unknown = result.histogram(operation, clock), result.unknown_above(operation, clock)
    if histogram.count + unknown < enough_for(percent):
        return None
    found = histogram.percentile(percent, unknown_above=unknown)
    return None if found is None else max(float(found), 1.0)


def _ends(result: ScenarioResult, operation: str, clock: str, percent: float) -> Ends | None:
    """The record's interval, widened by what its buckets cannot tell apart."""
    found = result.interval(operation, clock, percent)
    if found is None:
        return None
    low, high = found
    top = math.inf if high is None else high + max(1.0, high * _RESOLUTION)
    return max(low - max(1.0, low * _RESOLUTION), 0.5), top


def _completed(result: ScenarioResult, operation: str) -> npt.NDArray[np.int64]:
    counts = np.zeros(int(result.seconds), dtype=np.int64)
    for interval in result.operation(operation).intervals:
        if 0 <= interval.second < len(counts):
            counts[interval.second] = interval.completed
    return counts


def _doubt(a: ScenarioResult, b: ScenarioResult, operation: str) -> str:
    """Why none of an operation's figures has a verdict; empty where they do."""
    found = [
        f"INVALID in {side}"
        for side, result in (("A", a), ("B", b))
        if result.status != "complete"
        or ((said := result.verdicts.get(operation)) is not None and said.verdict is Verdict.INVALID)
    ]
    if found:
        return " and ".join(found).replace(" and INVALID in", " and")
    shares = [_lost(result.operation(operation).tally)[1] for result in (a, b)]
    return "other failures" if abs(shares[0] - shares[1]) > MOST_FAILURES else ""


def _note(a: ScenarioResult, b: ScenarioResult, operation: str) -> list[str]:
    (lost_a, _), (lost_b, _) = (_lost(result.operation(operation).tally) for result in (a, b))
    if not lost_a and not lost_b:
        return []
    planned = [result.operation(operation).tally.planned for result in (a, b)]
    return [
        f"{a.name}, {operation}: {lost_a:,} of {planned[0]:,} failed in A, {lost_b:,} of {planned[1]:,} in B; "
        "latencies are of the others"
    ]


def _lost(tally: Tally) -> tuple[int, float]:
    """Requests without a good answer, and their share."""
    lost = tally.error + tally.skipped + max(tally.censored, 0)
    return lost, lost / tally.planned if tally.planned else 0.0


def _mood(figures: list[ComparedFigure]) -> list[str]:
    """Floors that differ: a request that does nothing tells of the machine and not of the service."""
    return [
        f"the floor of {one.scenario}, which does nothing, is {one.finding} too: the machine was in another mood"
        for one in figures
        if one.operation == FLOOR
        and (one.clock, one.percentile) == ("response", 50)
        and one.finding in (Finding.SLOWER, Finding.FASTER)
    ]


def _only(one: RunRecord, other: RunRecord) -> str:
    missing = [result.name for result in one.scenarios if other.scenario(result.name) is None]
    for result in one.scenarios:
        if (twin := other.scenario(result.name)) is not None:
            names = {log.name for log in twin.operations}
            missing += [f"{log.name} of {result.name}" for log in result.operations if log.name not in names]
    return ", ".join(missing)


def _side(record: RunRecord, name: str) -> SideOfComparison:
    source = record.provenance
    return SideOfComparison(
        name,
        record.id,
        record.created_at,
        source.git_revision + "+" * source.git_dirty,
        record.system.service if record.system else "",
        objections(record),
    )


def _log(above: float, below: float) -> float:
    """Distance on the log scale, at least 0."""
    if below <= 0 or math.isinf(above):
        return math.inf
    return max(math.log(above / below), 0.0)

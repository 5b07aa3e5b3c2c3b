"""The result of one metric in a gate: its figures, its verdict, and the sentence for it."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from harness.core.gate import SIDES, GateRecord, GateVerdict, MetricResult, Pair, Side
from harness.core.paired import Floats, detectable, estimate, ratio_of
from harness.core.rules import Metric
from harness.judge import wording
from harness.judge.comparison import Comparison, Differences, Flags, compare

_MISSING: Final = "see the record's blocks: a figure that metrics need is missing from them"
_LATE: Final = "leave the generator a core of its own, or lower the rate, and run it again"


def so_far(record: GateRecord) -> list[MetricResult]:
    """What the pairs up to now estimate, in the order of the rules; each INCONCLUSIVE."""
    differences = Differences.between(record.counted, record.rules.metrics)
    return measured(record, differences, compare(differences, record.rules))


def measured(
    record: GateRecord, differences: Differences, comparison: Comparison, *, look: bool = False
) -> list[MetricResult]:
    """The figures of each metric, without a verdict yet; what is costly to tell only at a look."""
    low, high = comparison.walsh.interval()
    rules, results = record.rules, []
    for row, metric in enumerate(rules.metrics):
        result = MetricResult(metric, GateVerdict.INCONCLUSIVE, int(comparison.walsh.pairs[row, 0]))
        result.ratio = ratio_of(comparison.centre[row, 0])
        result.low, result.high = ratio_of(low[row, 0]), ratio_of(high[row, 0])
        result.upper = ratio_of(comparison.upper[row, 0])
        if result.pairs:
            result.p, result.p_adjusted = float(comparison.p[row, 0]), float(comparison.adjusted[row, 0])
            result.base, result.head = (_shown(record, metric, side, pooled=look) for side in SIDES)
        if look:
            family = sum(one.gated == metric.gated for one in rules.metrics)
            found = detectable(differences.worse[row, 0], float(np.log(metric.rejected)), rules.alpha / family)
            result.detectable = None if found is None else max(found, metric.least)
        results.append(result)
    return results


def explained(pairs: Sequence[Pair], metrics: Sequence[Metric], regressed: Flags) -> Floats:
    """Where the generator's lag makes a regression: the ratio without it, shape (metrics, 1); NaN elsewhere.

    The response clock starts when a request was due, the service clock when it was sent. A service cannot make the
    generator send late: what regressed on the one and not on the other is no doing of head's.
    """
    ratios = np.full((len(metrics), 1), np.nan)
    for row, metric in enumerate(metrics):
        if regressed[row, 0] and metric.kind == "latency" and metric.clock == "response":
            sent = msgspec.structs.replace(metric, clock="service")
            again = [msgspec.structs.replace(pair, values={}) for pair in pairs]
            for pair in again:
                pair.take_values((sent,))
            own = estimate(Differences.between(again, (sent,)).worse[0, 0])
            if own is not None and own.ratio < metric.least:
                ratios[row, 0] = own.ratio
    return ratios


def judge(record: GateRecord, comparison: Comparison, better: Flags, without_lag: Floats) -> list[str]:
    """Give each of `record.metrics` its verdict and the reason for it.

    Returns:
        hints for those that are gated and INVALID.
    """
    rules, hints = record.rules, []
    for row, result in enumerate(record.metrics):
        found, hint = wording.found(result), ""
        if not comparison.measured[row, 0]:
            verdict, hint = GateVerdict.INVALID, _MISSING
            found = (
                f"{result.metric.name}: only {result.pairs} of {len(record.counted)} pairs have figures of both sides"
            )
        elif not np.isnan(without_lag[row, 0]):
            verdict, hint = GateVerdict.INVALID, _LATE
            share = without_lag[row, 0] - 1
            found += f"; but the generator sent late: from when requests were sent, it is {share:+.1%}"
        elif comparison.regressed[row, 0]:
            verdict = GateVerdict.REGRESSION
        elif better[row, 0]:
            verdict = GateVerdict.IMPROVEMENT
        elif comparison.sound[row, 0]:
            verdict = GateVerdict.NO_REGRESSION
            found += f"; {wording.bounded(result)}"
            if result.upper is None or result.upper >= rules.bound_of(result.metric):
                found += f", but by less than the {result.metric.floor_us:g} µs that matter"
        else:
            verdict, found = GateVerdict.INCONCLUSIVE, wording.undecided(result, rules)
        result.verdict, result.reasons = verdict, [found]
        if hint and result.metric.gated:
            hints.append(hint)
    return hints


def _shown(record: GateRecord, metric: Metric, side: Side, *, pooled: bool) -> float:
    """A side's figure over all pairs: for display, never for the verdict."""
    if pooled and metric.kind == "latency":
        blocks = [found for pair in record.counted if (found := pair.block(side, metric.block)) is not None]
        unknown = sum(block.unanswered(metric.operation) for block in blocks if metric.operation in block.tallies)
        histogram = record.pooled(side, metric.block, metric.operation, metric.clock)
        value = histogram.percentile(metric.percentile, unknown_above=unknown)
        if value is not None:
            return float(value)
    values = [pair.values[metric.name] for pair in record.counted if metric.name in pair.values]
    return float(np.median([figures[SIDES.index(side)] for figures in values]))

"""The verdict of a gate, at each look."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np

from harness.core.gate import GateRecord, GateVerdict, MetricResult
from harness.core.rules import Waiver
from harness.judge import metric, sides, waivers, wording
from harness.judge.comparison import Differences, compare, improved

_ORDER: Final = (GateVerdict.REGRESSION, GateVerdict.INVALID, GateVerdict.INCONCLUSIVE)
"""A regression is certain knowledge, whatever else could not be told."""

Spoilt = Sequence[tuple[str, str]]
"""Reasons, each with a hint, why a whole gate is INVALID whatever its metrics say."""


def decide(record: GateRecord, waiving: Sequence[Waiver], today: date) -> bool:
    """Judge what has been measured so far; to be called after each pair.

    Only with exactly as many pairs that count as one of the looks asks for is anything decided, and before the last
    only that the gate passes: whoever looks more often finds more than there is. Until it is over, `record.metrics` are
    estimates so far, and nothing else of the record is touched.

    Args:
        record: `metrics`, `verdict`, `reasons`, `hints`, `notes` and `look` are filled in.
        waiving: the waivers of the file, holding or not.
        today: by which they hold.

    Returns:
        whether the gate is over: decided at an early look, spoilt for good, or at its last look.

    Raises:
        UsageError: a waiver names no metric.
    """
    rules, pairs = record.rules, record.counted
    waivers.check(waiving, rules.metrics)
    differences = Differences.between(pairs, rules.metrics)
    comparison = compare(differences, rules)
    looked = len(pairs) in rules.looks
    spoilt = _spoilt(record) if looked else []
    passes = looked and bool(comparison.passes[0]) and not sides.errors_of(record)
    if not looked or not (spoilt or passes or len(pairs) == rules.looks[-1]):
        record.metrics = metric.measured(record, differences, comparison)
        return False
    without_lag = metric.explained(pairs, rules.metrics, comparison.regressed)
    comparison = replace(comparison, regressed=comparison.regressed & np.isnan(without_lag))
    record.look = rules.looks.index(len(pairs))
    record.metrics = metric.measured(record, differences, comparison, look=True)
    hints = metric.judge(record, comparison, improved(differences, rules), without_lag)
    for result in record.metrics:
        waivers.apply(result, waiving, today)
    if spoilt:
        _spoil(record, spoilt)
    else:
        _conclude(record, hints)
    _note(record, [*sides.remarks(record), *waivers.idle(record.metrics, waiving)])
    return True


def cut_short(record: GateRecord) -> None:
    """Give its verdict to a gate that ended before it was decided: no pair is left, or somebody ended it.

    What made it end may have to do with what was seen, and so nothing is tested: it is INCONCLUSIVE; or INVALID where
    nothing was measured, the sides cannot be compared, or so many pairs were spoilt that too few were left.
    """
    record.metrics = metric.so_far(record)
    _note(record, sides.remarks(record))
    if spoilt := _spoilt(record):
        _spoil(record, spoilt)
        return
    pairs, doubts = record.rules.looks[-1], Counter(doubt for pair in record.pairs for doubt in pair.doubts)
    lost = len(record.pairs) - len(record.counted)
    if len(record.pairs) >= pairs and lost:
        reason = (
            f"too many pairs were in doubt: {lost} of {len(record.pairs)}, most since {doubts.most_common(1)[0][0]}"
        )
        _spoil(record, [(reason, "repeat it on a quieter machine, or one whose processors are not shared")])
        return
    record.verdict = GateVerdict.INCONCLUSIVE
    record.reasons = [f"it ended undecided: {len(record.counted)} of {pairs} pairs count"]
    record.hints = ["let it come to its end, on a machine quiet enough for pairs to count"]


def _spoilt(record: GateRecord) -> Spoilt:
    if not record.counted:
        doubts = [doubt for pair in record.pairs for doubt in pair.doubts]
        hint = f"every pair was in doubt, the last since {doubts[-1]}" if doubts else "see whether the services came up"
        return [("nothing was measured: no pair counts", hint)]
    unlike = [(told, "compare both with the same interpreter and schema") for told in sides.differences(record)]
    failures = sides.errors_of(record, certain=True)
    failed = [(told, "see that service's log: it has to answer first") for told in failures]
    return unlike + failed


def _spoil(record: GateRecord, spoilt: Spoilt) -> None:
    record.verdict = GateVerdict.INVALID
    record.reasons = [reason for reason, _ in spoilt]
    record.hints = list(dict.fromkeys(hint for _, hint in spoilt))
    for result in record.metrics:
        result.verdict, result.reasons = GateVerdict.INVALID, record.reasons.copy()


def _conclude(record: GateRecord, hints: Sequence[str]) -> None:
    """The verdict of the whole from those of its gated metrics."""
    gated = sorted((one for one in record.metrics if one.metric.gated), key=lambda one: -(one.ratio or 0))
    verdict = next((v for v in _ORDER if any(one.verdict == v for one in gated)), GateVerdict.NO_REGRESSION)
    telling = [one for one in gated if one.verdict == verdict]
    waived = [one for one in gated if one.verdict == GateVerdict.WAIVED]
    record.verdict = verdict
    record.reasons = ["; ".join(one.reasons) for one in [*telling, *waived]]
    match verdict:
        case GateVerdict.REGRESSION:
            record.hints = [wording.waiver(telling[0].metric)]
        case GateVerdict.INVALID:
            record.hints = list(dict.fromkeys(hints))
        case GateVerdict.INCONCLUSIVE:
            record.hints = [wording.needed(telling, record.rules)]
        case _:
            passed = [one for one in gated if one.verdict != GateVerdict.WAIVED]
            record.reasons = [_none_regressed(passed), *("; ".join(one.reasons) for one in waived)]
            record.hints = []


def _none_regressed(passed: Sequence[MetricResult]) -> str:
    if not passed:
        return "every gated metric regressed, and each is waived"
    widest = max(passed, key=lambda one: one.upper or 0)
    return (
        f"no regression in {len(passed)} gated metric{'s' * (len(passed) > 1)}: {widest.metric.name} has the widest "
        f"bound, {wording.bounded(widest)}"
    )


def _note(record: GateRecord, notes: Sequence[str]) -> None:
    record.notes += [note for note in notes if note not in record.notes]

"""What a gate's report says in sentences: the verdict, how much was measured, what to do next, how it stands."""

import math
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from harness.core.gate import SIDES, Compared, GateRecord, GateVerdict, MetricResult
from harness.report.gate.ratios import interval, worse
from harness.report.units import clean

GLOSSARY: Final = (
    ("pair", "One block of each kind for base and for head, close together in time, a coin deciding who comes first."),
    ("worse by", "Share of base's figure by which head's is worse: the Hodges-Lehmann estimate over all pairs."),
    ("ratio", "What plots show: head's latency to base's, or base's rate to head's. Above 1 is worse."),
    ("95% CI", "The exact interval of the signed-rank test, two-sided."),
    ("at most", "The one-sided upper bound that NO REGRESSION is decided by."),
    (
        "p adjusted",
        "Of “worse by no more than what is tested against”: Holm over gated metrics, else Benjamini-Hochberg.",
    ),
    ("finds from", "The smallest change that this run would have found four times out of five, about."),
    ("base, head", "Figures over all pairs that count: to look at. The verdict comes from the pairs one by one."),
    ("gated", "A regression of it fails the gate. All other metrics advise."),
    (
        "REGRESSION",
        "Significantly worse than what is tested against, and by the least that matters as estimated.",
    ),
    ("WAIVED", "A regression that somebody has accepted, until a day."),
    ("NO REGRESSION", "Surely less worse than the bound, or than matters. What is smaller may have been missed."),
    ("INCONCLUSIVE", "Too noisy for either. Neither good nor bad news."),
    ("INVALID", "It could not be compared, for the reason given."),
    ("IMPROVEMENT", "The same the other way round. Never said of a whole gate."),
    ("spoilt", "A pair that does not count, for a reason that was known before its figures were."),
)
"""The words of a gate's report and what they mean."""

_NAMED = 3
_STANDING = 2


def headline(record: GateRecord) -> str:
    """The verdict of the gate in words."""
    gated = [result for result in record.metrics if result.metric.gated]
    held = [result for result in gated if result.verdict is record.verdict]
    return f"{record.verdict}: {_meaning(record, gated, held)}"


def _meaning(record: GateRecord, gated: list[MetricResult], held: list[MetricResult]) -> str:
    worst = sorted(held, key=lambda result: -(result.ratio or 0))
    some = f"{len(held)} of {len(gated)} gated metrics"
    match record.verdict:
        case GateVerdict.REGRESSION:
            said = _named([f"{one.metric.name} is {worse(one.metric, one.ratio).lstrip('+')} worse" for one in worst])
        case GateVerdict.INCONCLUSIVE:
            said = f"{some} could be decided neither way"
        case GateVerdict.INVALID:
            said = f"{some} could not be compared" if held else "nothing can be said of head"
        case _:
            waived = [one for one in gated if one.verdict is GateVerdict.WAIVED]
            but = f" but for {len(waived)} waived: {_named([_waived(one) for one in waived])}" if waived else ""
            said = f"none of {len(gated)} gated metrics regressed{but}"
    return said


def _waived(result: MetricResult) -> str:
    until = f" until {result.waiver.until.isoformat()}" if result.waiver else ""
    return f"{result.metric.name} ({worse(result.metric, result.ratio)}{until})"


def _named(parts: list[str]) -> str:
    more = len(parts) - _NAMED
    return ", ".join(clean(part) for part in parts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def shortcomings(record: GateRecord) -> list[str]:
    """What spoils the gate as a whole; empty for a complete one."""
    if record.status == "interrupted":
        return ["This gate was interrupted: what follows is what was measured until then."]
    return ["This gate failed."] if record.status == "failed" else []


def tally(record: GateRecord) -> str:
    """How much was measured: "22 of 24 pairs count (2 spoilt), 4 rounds, decided at look 2 of 2, 9 min 4 s"."""
    total, counted = len(record.pairs), len(record.counted)
    spoilt = f" ({total - counted} spoilt)" if total > counted else ""
    rounds = len({pair.round for pair in record.pairs})
    parts = [f"{counted} of {total} pairs count{spoilt}" if total else "no pair was measured"]
    parts += [f"{rounds} round{'s' if rounds != 1 else ''}"] if total else []
    parts += [f"decided at look {record.look + 1} of {len(record.rules.looks)}"] if record.look is not None else []
    return ", ".join([*parts, minutes(record.seconds)])


def minutes(seconds: float) -> str:
    """A length of time to the second: "42 s", "9 min 4 s"."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def short(revision: str) -> str:
    """A commit at the length that is read, with its "+" where the working tree had changes of its own."""
    name = clean(revision)
    return f"{name.removesuffix('+')[:12]}{'+' if name.endswith('+') else ''}"


def side(compared: Compared) -> str:
    """One side on a line: "origin/main (4f2a9c1d8e7b), reference 0.1.0, Python 3.11.9"."""
    revision = short(compared.revision)
    named = clean(compared.what)
    first = f"{named} ({revision})" if revision and revision != named else named
    python = f"Python {clean(compared.python)}" if compared.python else ""
    return ", ".join(part for part in (first, clean(compared.service), python) if part)


def sides(record: GateRecord) -> list[tuple[str, str]]:
    """Both sides' names and lines, base first."""
    return [(name, side(record.sides[name])) for name in SIDES if name in record.sides]


def reproduce(record: GateRecord) -> str:
    """The command that measures the same again: as it was given, with base's commit and the seed, without `--out`."""
    base, given = record.sides.get("base"), record.provenance.command
    dropped = ("--out", "--seed", "--base") if base else ("--out", "--seed")
    words = list(_without(given, *dropped)) if "gate" in given[:3] else ["membench", "gate"]
    if base and not any(word.startswith(("--base-url", "--base-command")) for word in words):
        words += ["--base", base.revision.removesuffix("+") or base.what]
    return clean(shlex.join([*words, "--seed", str(record.seed)]))


def _without(words: Sequence[str], *options: str) -> Iterator[str]:
    for before, word in pairwise(["", *words]):
        if before not in options and word not in options and not word.startswith(tuple(f"{o}=" for o in options)):
            yield word


def next_steps(record: GateRecord) -> list[str]:
    """What to do next, in sentences: the record's own hints, or what the verdict asks for."""
    if record.hints:
        return [f"{hint[:1].upper()}{hint[1:]}" for hint in map(clean, record.hints)]
    match record.verdict:
        case GateVerdict.REGRESSION:
            return ["See in gate.html whether every pair is worse, mend it, or accept it for a while with a waiver."]
        case GateVerdict.INCONCLUSIVE:
            return ["Run it again on a quieter machine: noise hid what there may be."]
        case GateVerdict.INVALID:
            return ["Mend what the reason names, then run the same command again."]
        case _:
            return []


def progress_line(record: GateRecord) -> str:
    """How a gate stands: "pair 7 of 24: search P50 +18% (+12% to +25%), others within 4%".

    Args:
        record: so far. Where it has no results yet, medians over the pairs stand for them, without intervals.
    """
    counted, measured = len(record.counted), len(record.pairs)
    spoilt = f" ({measured - counted} spoilt)" if measured > counted else ""
    head = f"pair {counted} of {record.rules.looks[-1]}{spoilt}"
    found = [(one, one.ratio) for one in record.metrics or _medians(record) if one.metric.gated and one.ratio]
    if not found:
        return head
    far = [(one, ratio) for one, ratio in found if max(ratio, 1 / ratio) >= one.metric.least]
    far.sort(key=lambda pair: -pair[1])
    named = [f"{clean(one.metric.name)} {worse(one.metric, ratio, 0)}{_ends(one)}" for one, ratio in far[:_STANDING]]
    named += [f"{len(far) - _STANDING} more"] if len(far) > _STANDING else []
    near = [abs(ratio - 1) for one, ratio in found if max(ratio, 1 / ratio) < one.metric.least]
    named += [f"{'others' if far else 'all'} within {max(math.ceil(max(near) * 100), 1)}%"] if near else []
    return f"{head}: {', '.join(named)}"


def _medians(record: GateRecord) -> Iterator[MetricResult]:
    for metric in record.rules.metrics:
        logs = [log for pair in record.counted if (log := pair.worse(metric)) is not None]
        if logs:
            yield MetricResult(metric, GateVerdict.INCONCLUSIVE, len(logs), math.exp(median(logs)))


def _ends(result: MetricResult) -> str:
    known = result.low is not None or result.high is not None
    return f" ({interval(result.metric, result.low, result.high, 0)})" if known else ""

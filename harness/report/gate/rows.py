"""The rows of a gate's tables, made once, so that no two outputs can disagree."""

from dataclasses import dataclass

from harness.core.gate import SIDES, GateRecord, GateVerdict, MetricResult, Side
from harness.core.rules import Metric
from harness.report.gate import words
from harness.report.gate.ratios import interval, worse
from harness.report.gate.ratios import share as percent
from harness.report.provenance import origin_facts
from harness.report.units import NOTHING, clean, count, duration, quantity, rate, seconds, share
from harness.report.words import command


@dataclass(frozen=True)
class MetricRow:
    """One metric, ready to print.

    Attributes:
        name: the metric's.
        block: whose load it is measured under.
        gated: whether a regression of it fails.
        verdict: of it.
        base: its figure with its unit, a dash where there is none; head: likewise.
        worse: by how much head is worse.
        interval: the 95% interval of that.
        most: the one-sided bound that NO REGRESSION is decided by.
        p: adjusted.
        detectable: what this run would have found.
        pairs: that the verdict rests on.
        said: reasons, and the waiver where there is one.
        fresh: those of them that the gate's own reasons do not tell, and that the verdict does not tell alone.
    """

    name: str
    block: str
    gated: bool
    verdict: GateVerdict
    base: str
    head: str
    worse: str
    interval: str
    most: str
    p: str
    detectable: str
    pairs: int
    said: tuple[str, ...]
    fresh: tuple[str, ...]

    @property
    def footnote(self) -> str:
        """What is fresh of it in one line, its name before it unless that is said anyway."""
        text = "; ".join(self.fresh)
        return text if text.startswith(self.name) else f"{self.name}: {text}"


def metric_rows(record: GateRecord, *, gated: bool) -> list[MetricRow]:
    """The gated metrics, or those that advise, in the order of the rules."""
    told = "; ".join(clean(reason) for reason in record.reasons)
    return [_metric_row(result, told) for result in record.metrics if result.metric.gated is gated]


def figure(metric: Metric, value: float | None) -> str:
    """A value of a metric with its unit."""
    return rate(value) if metric.unit == "1/s" else duration(value)


def _metric_row(result: MetricResult, told: str) -> MetricRow:
    metric = result.metric
    said = (*(clean(reason) for reason in result.reasons), *_waiver(result))
    quiet = result.verdict is GateVerdict.NO_REGRESSION
    return MetricRow(
        name=clean(metric.name),
        block=clean(metric.block),
        gated=metric.gated,
        verdict=result.verdict,
        base=figure(metric, result.base),
        head=figure(metric, result.head),
        worse=worse(metric, result.ratio),
        interval=interval(metric, result.low, result.high),
        most=worse(metric, result.upper),
        p=probability(result.p_adjusted),
        detectable=worse(metric, result.detectable),
        pairs=result.pairs,
        said=said,
        fresh=() if quiet else tuple(line for line in said if line not in told),
    )


def probability(p: float | None) -> str:
    """A p value to two digits: "0.012", "<0.0001", "1"."""
    if p is None:
        return NOTHING
    if p < 1e-4:
        return "<0.0001"
    return f"{p:.2g}"


def _waiver(result: MetricResult) -> list[str]:
    waiver = result.waiver
    if waiver is None or any(waiver.reason in reason for reason in result.reasons):
        return []
    holds = result.verdict is GateVerdict.WAIVED
    return [
        f"{'waived until' if holds else 'its waiver expired on'} {waiver.until.isoformat()}: {clean(waiver.reason)}"
    ]


@dataclass(frozen=True)
class PairRow:
    """One pair, ready to print.

    Attributes:
        number: from 1.
        round: from 1.
        first: per block, the side that came first.
        values: per metric, base's figure, head's, and by how much head is worse.
        doubts: why it does not count; empty when it does.
    """

    number: int
    round: int
    first: tuple[str, ...]
    values: tuple[tuple[str, str, str], ...]
    doubts: tuple[str, ...]


def pair_rows(record: GateRecord, metrics: tuple[Metric, ...]) -> list[PairRow]:
    """All pairs as measured, with the figures of these metrics."""
    return [
        PairRow(
            number=pair.number,
            round=pair.round,
            first=tuple(pair.first.get(block, NOTHING) for block in blocks(record)),
            values=tuple(_values(metric, pair.values.get(metric.name)) for metric in metrics),
            doubts=tuple(clean(doubt) for doubt in pair.doubts),
        )
        for pair in record.pairs
    ]


def _values(metric: Metric, values: tuple[float, float] | None) -> tuple[str, str, str]:
    if values is None:
        return NOTHING, NOTHING, NOTHING
    base, head = values
    ratio = base / head if metric.higher_is_better else head / base
    return figure(metric, base), figure(metric, head), worse(metric, ratio)


def blocks(record: GateRecord) -> list[str]:
    """The names of the blocks, in the order of the rules."""
    return list(dict.fromkeys([*record.blocks, *(metric.block for metric in record.rules.metrics)]))


@dataclass(frozen=True)
class BlockRow:
    """One side under one block's load, ready to print."""

    pair: int
    block: str
    side: Side
    seconds: str
    answered: str
    failed: str
    unanswered: str
    steal: str
    cpu: str
    drain: str
    errors: tuple[str, ...]
    doubts: tuple[str, ...]


def block_rows(record: GateRecord) -> list[BlockRow]:
    """Every block of every pair, in the order measured."""
    return [
        BlockRow(
            pair=pair.number,
            block=clean(block.scenario),
            side=block.side,
            seconds=seconds(block.seconds),
            answered=count(sum(tally.ok for tally in block.tallies.values())),
            failed=count(sum(tally.error for tally in block.tallies.values())),
            unanswered=count(sum(block.unanswered(name) for name in block.tallies)),
            steal=share(block.steal),
            cpu=NOTHING if block.service_cpu is None else quantity(block.service_cpu, "s"),
            drain=seconds(block.drain),
            errors=tuple(
                f"{clean(name)}: {clean(kind)} ×{count(times)}"
                for name, kinds in block.errors.items()
                for kind, times in kinds.items()
            ),
            doubts=tuple(clean(doubt) for doubt in block.doubts),
        )
        for pair in record.pairs
        for block in pair.blocks
    ]


def side_rows(record: GateRecord) -> list[tuple[str, str, str, bool]]:
    """What each side is: the fact, base's, head's, and whether they differ where they should not."""
    facts = [
        ("What", "what", False),
        ("Revision", "revision", False),
        ("Service", "service", False),
        ("Python", "python", True),
        ("Schema", "schema", True),
        ("Dependencies", "environment", True),
    ]
    rows = []
    for title, field, alike in facts:
        base, head = (clean(getattr(record.sides[side], field)) if side in record.sides else "" for side in SIDES)
        if base or head:
            differs = alike and bool(base and head) and base != head
            rows.append((title, base or "unknown", head or "unknown", differs))
    return rows


def rule_rows(record: GateRecord) -> list[tuple[str, str]]:
    """By what the verdicts were decided."""
    rules = record.rules
    return [
        ("Looks", f"at {' and '.join(map(str, rules.looks))} pairs"),
        ("REGRESSION needs", f"an adjusted P-value below {rules.alpha:g}, at the last look"),
        ("NO REGRESSION needs", f"an upper bound below {rules.bound:g}×, unless a metric has its own"),
        ("Ends early", "where no gated metric is estimated to be worse by as much as matters, and all bounds hold"),
        *(
            [
                ("Turns", f"of about {rules.turn:g} s"),
                ("Services start anew", f"every {rules.round_pairs} pairs, on databases cloned anew"),
            ]
            if record.blocks
            else []
        ),
        ("Spare pairs", f"{share(rules.spare)}, for spoilt ones"),
        *((f"{clean(metric.name)}{'' if metric.gated else ' (advises)'}", _rule(metric)) for metric in rules.metrics),
    ]


def _rule(metric: Metric) -> str:
    floor = f", at least {duration(metric.floor_us)} slower" if metric.floor_us else ""
    what = {
        "latency": f"P{metric.percentile:g} of {metric.operation}, {metric.clock} clock",
        "rate": f"answers of {metric.operation} a second",
        "cpu": "the service's CPU time per request",
        "micro": f"P{metric.percentile:g} of {metric.operation}'s rounds",
    }[metric.kind]
    null = f", tested against {percent(metric, metric.null)} or less" if metric.null is not None else ""
    bound = f"; NO REGRESSION below {percent(metric, metric.bound)}" if metric.bound is not None else ""
    return clean(f"{what}, in {metric.block}; matters from {percent(metric, metric.least)} worse{floor}{null}{bound}")


def facts(record: GateRecord) -> list[tuple[str, str]]:
    """The gate as a whole and where it ran."""
    rows = [
        ("Gate", record.id),
        ("Created", record.created_at),
        ("Command", command(record)),
        ("Seed", str(record.seed)),
        ("Memories", count(record.memories)),
        ("Took", words.minutes(record.seconds)),
    ]
    return [*((name, clean(value)) for name, value in rows), *origin_facts(record.provenance)]

"""A gate's record as JUnit XML."""

import xml.etree.ElementTree as ET
from typing import Final

from harness.core.gate import GateRecord, GateVerdict, MetricResult
from harness.report import xunit
from harness.report.gate import words
from harness.report.gate.rows import MetricRow, metric_rows
from harness.report.units import NOTHING
from harness.report.words import command

_OUTCOMES: Final = {
    GateVerdict.REGRESSION: "failure",
    GateVerdict.INVALID: "error",
    GateVerdict.INCONCLUSIVE: "skipped",
}


def junit(record: GateRecord) -> bytes:
    """JUnit XML of a gate.

    One suite "gate" says whether it can be believed as a whole, one suite "gated" has a case for each gated metric
    (REGRESSION is a failure, INVALID an error, INCONCLUSIVE skipped), one suite "advisory" a case for each other one,
    which passes whatever became of it and says what did. A metric's figures are properties of its suite:
    "search P99.ratio" and so on.

    Returns:
        a UTF-8 document. Characters that XML forbids are left out.
    """
    suites = [_gate(record)]
    for name, gated in (("gated", True), ("advisory", False)):
        results = [result for result in record.metrics if result.metric.gated is gated]
        if results:
            suites.append(_metrics(name, results, metric_rows(record, gated=gated)))
    return xunit.document(suites, record.seconds)


def _gate(record: GateRecord) -> ET.Element:
    suite = xunit.suite("gate", record.created_at)
    properties = {
        "id": record.id,
        "verdict": record.verdict,
        "status": record.status,
        "seed": str(record.seed),
        "command": command(record),
        "membench": record.provenance.membench,
        "pairs": str(len(record.pairs)),
        "pairs.counted": str(len(record.counted)),
        **dict(words.sides(record)),
    }
    xunit.properties(suite, properties)
    case = xunit.case(suite, "verdict", "membench.gate", record.seconds)
    said = [words.headline(record), *words.shortcomings(record), *record.reasons, words.tally(record)]
    said += [f"Next: {step}" for step in words.next_steps(record)]
    # A metric that is INVALID speaks for itself below; here speaks what is wrong with the gate.
    speaks = any(result.metric.gated and result.verdict is GateVerdict.INVALID for result in record.metrics)
    if record.status != "complete" or (record.verdict is GateVerdict.INVALID and not speaks):
        label = record.status if record.status != "complete" else str(GateVerdict.INVALID)
        xunit.outcome(case, "error", label, said)
    else:
        xunit.output(case, said)
    return suite


def _metrics(name: str, results: list[MetricResult], rows: list[MetricRow]) -> ET.Element:
    suite = xunit.suite(name)
    xunit.properties(suite, {key: value for result in results for key, value in _figures(result).items()})
    for row in rows:
        case = xunit.case(suite, row.name, f"membench.gate.{row.block}", 0.0)
        ci = f" (95% CI {row.interval})" if row.interval != NOTHING else ""
        said = [f"{row.name}: {row.worse} worse{ci}, base {row.base}, head {row.head}, p {row.p}", *row.said]
        kind = _OUTCOMES.get(row.verdict) if row.gated else None
        if kind:
            xunit.outcome(case, kind, str(row.verdict), said)
        else:
            xunit.output(case, [f"{row.verdict}: {said[0]}", *said[1:]])
    return suite


def _figures(result: MetricResult) -> dict[str, str]:
    names = ("ratio", "low", "high", "upper", "p", "p_adjusted", "base", "head", "detectable")
    found = {name: getattr(result, name) for name in names}
    figures = {name: repr(value) for name, value in found.items() if value is not None}
    figures |= {"verdict": str(result.verdict), "pairs": str(result.pairs), "unit": result.metric.unit}
    return {f"{result.metric.name}.{name}": value for name, value in figures.items()}

"""A run record as JUnit XML, in the form that Jenkins, GitLab and GitHub's test reporters read."""

import xml.etree.ElementTree as ET
from typing import Final

from harness.core.record import RunRecord, ScenarioResult
from harness.core.verdict import Verdict
from harness.report import beside, words, xunit
from harness.report.figures import PERCENT_LABELS, OperationRow, TargetRow, operation_rows, target_rows
from harness.report.units import NOTHING

_OUTCOMES: Final = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.NOT_MEASURED: "skipped",
}


def junit(record: RunRecord) -> bytes:
    """JUnit XML of a record.

    One suite "run" says whether the run as a whole can be believed, one suite "targets" has a case for each target
    (FAIL is a failure, INVALID an error, not measured skipped; WARN passes and says so), and one suite for each
    scenario has a case for each judged operation and one that it ran to its end. The form has no properties of a
    case, so a target's figures are properties of its suite, "<id>.value" and so on; `time` is the seconds of the
    measure phase.

    Returns:
        a UTF-8 document. Characters that XML forbids are left out.
    """
    suites = [_run(record), _targets(record), *(_scenario(record, result) for result in record.scenarios)]
    suites += [_not_run(name) for name in record.not_run]
    return xunit.document(suites, sum(result.seconds for result in record.scenarios))


def _run(record: RunRecord) -> ET.Element:
    suite = xunit.suite("run", record.created_at)
    properties = {
        "id": record.id,
        "suite": record.suite,
        "verdict": record.verdict,
        "status": record.status,
        "seed": str(record.seed),
        "command": words.command(record),
        "membench": record.provenance.membench,
        "git_revision": record.provenance.git_revision,
        "calmed": "; ".join(record.calmed),
    }
    xunit.properties(suite, properties)
    case = xunit.case(suite, "verdict", "membench.run", sum(result.seconds for result in record.scenarios))
    said = [words.headline(record), *words.shortcomings(record), *words.run_reasons(record)]
    # A target that FAILs or is INVALID speaks for itself below; here speaks what is wrong with the run.
    if record.status != "complete" or (record.verdict is Verdict.INVALID and not _judged(record)):
        xunit.outcome(case, "error", record.status if record.status != "complete" else "INVALID", said)
    else:
        xunit.output(case, [*said, words.tally(record)])
    return suite


def _judged(record: RunRecord) -> bool:
    return any(target.verdict is not Verdict.NOT_MEASURED for target in record.targets)


def _targets(record: RunRecord) -> ET.Element:
    suite = xunit.suite("targets")
    properties: dict[str, str] = {}
    rows = target_rows(record)
    for row, target in zip(rows, record.targets, strict=True):
        figures = {
            "verdict": str(target.verdict),
            "value": "" if target.value is None else repr(target.value),
            "unit": target.unit,
            "target": repr(target.target),
            "critical": repr(target.critical),
            "better": target.better,
            "clock": target.clock,
            "floor": "" if target.floor is None else repr(target.floor),
            "interval": row.interval,
        }
        properties |= {f"{row.id}.{name}": value for name, value in figures.items() if value}
    xunit.properties(suite, properties)
    for row in rows:
        result = record.scenario(row.scenario)
        case = xunit.case(suite, row.id, f"membench.{row.scenario}", result.seconds if result else 0.0)
        _judge(case, row)
    return suite


def _judge(case: ET.Element, row: TargetRow) -> None:
    clock = f" on the {row.clock} clock" if row.clock != NOTHING else ""
    floor = f", floor {row.floor}" if row.floor != NOTHING else ""
    interval = f" (95% CI {row.interval})" if row.interval else ""
    figure = f"{row.title}: {row.value}{interval}{clock} (target {row.target}, critical {row.critical}{floor})"
    said = [figure, *row.reasons, *(f"Try: {hint}" for hint in row.hints)]
    if kind := _OUTCOMES.get(row.verdict):
        xunit.outcome(case, kind, str(row.verdict), said)
    else:
        xunit.output(case, [f"{row.verdict}: {said[0]}", *said[1:]])


def _scenario(record: RunRecord, result: ScenarioResult) -> ET.Element:
    suite = xunit.suite(result.name, result.started_at)
    rows = operation_rows(record, result)
    properties = {"load": words.load(result.scenario), "phases": words.phases(result), "seed": str(result.seed)}
    for row in rows:
        fates = {"ok": row.ok, "error": row.error, "skipped": row.skipped, "censored": row.censored}
        properties |= {f"{row.name}.{name}": str(number) for name, number in fates.items()}
        for clock in row.clocks:
            for label, cell in zip(PERCENT_LABELS, clock.cells, strict=True):
                properties[f"{row.name}.{clock.clock}.{label}"] = cell.whole
    properties |= dict(beside.properties(result))
    xunit.properties(suite, properties)
    case = xunit.case(suite, "ran to its end", f"membench.{result.name}", result.seconds)
    said = [words.repetition(result), *beside.said(result), *(row.fate for row in rows), *beside.worst(result)]
    said += [beside.drift(one) for one in result.drifts]
    for row in rows:
        if row.verdict is not None:
            _judge_operation(xunit.case(suite, row.name, f"membench.{result.name}", result.seconds), row)
    if result.status == "complete":
        xunit.output(case, said)
    else:
        head = f"{result.status}; {words.phases(result)}"
        xunit.outcome(case, "error", result.status, [head, result.failure, *said])
    return suite


def _judge_operation(case: ET.Element, row: OperationRow) -> None:
    said = [row.fate, *row.reasons, *(f"Try: {hint}" for hint in row.hints)]
    kind = _OUTCOMES.get(row.verdict) if row.verdict else None
    if kind:
        xunit.outcome(case, kind, str(row.verdict), said)
    else:
        xunit.output(case, [f"{row.verdict}: {said[0]}", *said[1:]])


def _not_run(name: str) -> ET.Element:
    suite = xunit.suite(name)
    case = xunit.case(suite, "ran to its end", f"membench.{name}", 0.0)
    xunit.outcome(case, "skipped", "not run", ["It did not run."])
    return suite

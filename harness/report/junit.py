"""A run record as JUnit XML, in the form that Jenkins, GitLab and GitHub's test reporters read."""

import xml.etree.ElementTree as ET
from typing import Final

from harness.core.record import RunRecord, ScenarioResult
from harness.core.verdict import Verdict
from harness.report import beside, words
from harness.report.figures import PERCENT_LABELS, OperationRow, TargetRow, operation_rows, target_rows
from harness.report.units import NOTHING, clean

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
    root = ET.Element("testsuites", name="membench")
    suites = [_run(record), _targets(record), *(_scenario(record, result) for result in record.scenarios)]
    suites += [_not_run(name) for name in record.not_run]
    for suite in suites:
        _count(suite)
        root.append(suite)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    root.set("time", _time(sum(result.seconds for result in record.scenarios)))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _run(record: RunRecord) -> ET.Element:
    suite = ET.Element("testsuite", name="run", timestamp=clean(record.created_at))
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
    _properties(suite, properties)
    case = _case(suite, "verdict", "membench.run", sum(result.seconds for result in record.scenarios))
    said = [words.headline(record), *words.shortcomings(record), *words.run_reasons(record)]
    # A target that FAILs or is INVALID speaks for itself below; here speaks what is wrong with the run.
    if record.status != "complete" or (record.verdict is Verdict.INVALID and not _judged(record)):
        _outcome(case, "error", record.status if record.status != "complete" else "INVALID", said)
    else:
        ET.SubElement(case, "system-out").text = "\n".join([*said, words.tally(record)])
    return suite


def _judged(record: RunRecord) -> bool:
    return any(target.verdict is not Verdict.NOT_MEASURED for target in record.targets)


def _targets(record: RunRecord) -> ET.Element:
    suite = ET.Element("testsuite", name="targets")
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
    _properties(suite, properties)
    for row in rows:
        result = record.scenario(row.scenario)
        case = _case(suite, row.id, f"membench.{row.scenario}", result.seconds if result else 0.0)
        _judge(case, row)
    return suite


def _judge(case: ET.Element, row: TargetRow) -> None:
    clock = f" on the {row.clock} clock" if row.clock != NOTHING else ""
    floor = f", floor {row.floor}" if row.floor != NOTHING else ""
    interval = f" (95% CI {row.interval})" if row.interval else ""
    figure = f"{row.title}: {row.value}{interval}{clock} (target {row.target}, critical {row.critical}{floor})"
    said = [figure, *row.reasons, *(f"Try: {hint}" for hint in row.hints)]
    if kind := _OUTCOMES.get(row.verdict):
        _outcome(case, kind, str(row.verdict), said)
    else:
        ET.SubElement(case, "system-out").text = "\n".join([f"{row.verdict}: {said[0]}", *said[1:]])


def _scenario(record: RunRecord, result: ScenarioResult) -> ET.Element:
    suite = ET.Element("testsuite", name=clean(result.name), timestamp=clean(result.started_at))
    rows = operation_rows(record, result)
    properties = {"load": words.load(result.scenario), "phases": words.phases(result), "seed": str(result.seed)}
    for row in rows:
        fates = {"ok": row.ok, "error": row.error, "skipped": row.skipped, "censored": row.censored}
        properties |= {f"{row.name}.{name}": str(number) for name, number in fates.items()}
        for clock in row.clocks:
            for label, cell in zip(PERCENT_LABELS, clock.cells, strict=True):
                properties[f"{row.name}.{clock.clock}.{label}"] = cell.whole
    properties |= dict(beside.properties(result))
    _properties(suite, properties)
    case = _case(suite, "ran to its end", f"membench.{result.name}", result.seconds)
    said = [words.repetition(result), *beside.said(result), *(row.fate for row in rows), *beside.worst(result)]
    said += [beside.drift(one) for one in result.drifts]
    for row in rows:
        if row.verdict is not None:
            _judge_operation(_case(suite, row.name, f"membench.{result.name}", result.seconds), row)
    if result.status == "complete":
        ET.SubElement(case, "system-out").text = "\n".join(line for line in said if line)
    else:
        head = f"{result.status}; {words.phases(result)}"
        _outcome(case, "error", result.status, [head, result.failure, *said])
    return suite


def _judge_operation(case: ET.Element, row: OperationRow) -> None:
    said = [row.fate, *row.reasons, *(f"Try: {hint}" for hint in row.hints)]
    kind = _OUTCOMES.get(row.verdict) if row.verdict else None
    if kind:
        _outcome(case, kind, str(row.verdict), said)
    else:
        ET.SubElement(case, "system-out").text = "\n".join([f"{row.verdict}: {said[0]}", *said[1:]])


def _not_run(name: str) -> ET.Element:
    suite = ET.Element("testsuite", name=clean(name))
    _outcome(_case(suite, "ran to its end", f"membench.{name}", 0.0), "skipped", "not run", ["It did not run."])
    return suite


def _case(suite: ET.Element, name: str, classname: str, seconds: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", name=clean(name), classname=clean(classname), time=_time(seconds))


def _outcome(case: ET.Element, kind: str, label: str, said: list[str]) -> None:
    lines = [clean(line) for line in said if line]
    element = ET.SubElement(case, kind, type=label, message="; ".join(lines))
    element.text = "\n".join(lines)


def _properties(suite: ET.Element, properties: dict[str, str]) -> None:
    if properties:
        parent = ET.SubElement(suite, "properties")
        for name, value in properties.items():
            ET.SubElement(parent, "property", name=clean(name), value=clean(value))


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for total, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", _time(sum(float(case.get("time", "0")) for case in cases)))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"

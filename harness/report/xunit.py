"""The elements of JUnit XML, as every report here writes them."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from harness.report.units import clean


def suite(name: str, timestamp: str = "") -> ET.Element:
    """A suite without cases.

    Args:
        name: of the suite.
        timestamp: RFC 3339; empty for none.
    """
    element = ET.Element("testsuite", name=clean(name))
    if timestamp:
        element.set("timestamp", clean(timestamp))
    return element


def case(suite: ET.Element, name: str, classname: str, seconds: float) -> ET.Element:
    """A case in its suite; it passes until it has another outcome."""
    return ET.SubElement(suite, "testcase", name=clean(name), classname=clean(classname), time=_time(seconds))


def outcome(case: ET.Element, kind: str, label: str, said: Sequence[str]) -> None:
    """Let a case fail, err or be skipped.

    Args:
        case: which.
        kind: failure, error or skipped.
        label: what stands for the type of the failure.
        said: lines; empty ones are left out.
    """
    lines = [clean(line) for line in said if line]
    element = ET.SubElement(case, kind, type=label, message="; ".join(lines))
    element.text = "\n".join(lines)


def output(case: ET.Element, said: Sequence[str]) -> None:
    """What a case that passed has to say."""
    ET.SubElement(case, "system-out").text = "\n".join(clean(line) for line in said if line)


def properties(suite: ET.Element, values: Mapping[str, str]) -> None:
    """Figures of a suite; the form has none of a case. They come before its cases."""
    if values:
        parent = ET.SubElement(suite, "properties")
        for name, value in values.items():
            ET.SubElement(parent, "property", name=clean(name), value=clean(value))


def document(suites: Sequence[ET.Element], seconds: float) -> bytes:
    """The whole as UTF-8, with all totals counted.

    Args:
        suites: in order.
        seconds: that the whole took.
    """
    root = ET.Element("testsuites", name="membench")
    for one in suites:
        _count(one)
        root.append(one)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(one.get(total, "0")) for one in suites)))
    root.set("time", _time(seconds))
    ET.indent(root)
    whole: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return whole + b"\n"


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for total, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", _time(sum(float(case.get("time", "0")) for case in cases)))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"

"""Comparisons and histories as they are read, whole; see test_golden.py for how to write the files anew."""

import io

import msgspec
import pytest
from rich.console import Console

from harness.core.history import Change, Course, Entry, Point, Trend
from harness.judge.compare import compare
from harness.report import compare as drawing
from harness.report import history

from .runs import WARM, Server, make, provenance, result_of
from .test_golden import check


@pytest.fixture(scope="module")
def before():
    return make("before", scenarios=[result_of(WARM, {"search": Server(9_000)}, 1)])


@pytest.fixture(scope="module")
def after():
    return make("after", scenarios=[result_of(WARM, {"search": Server(11_500)}, 2)])


def printed(what, *rest, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    what(*rest, Console(file=stream, width=100))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def courses():
    ratios = [1.0, 0.98, 1.01, 1.0, 1.2, 1.22]
    entries = [
        Entry(f"g{n}", f"2026-05-0{n + 1}T09:00:00Z", f"{n}" * 40, "ba5e" * 10, "Example, 2 cores", "c0nd1710", {})
        for n in range(6)
    ]
    points = [Point(ratio, ratio / 1.05, ratio * 1.05, 12) for ratio in ratios]
    rates = [Point(1.0, None, None, 12), Point(1.1, 1.02, None, 12)]
    trends = [
        Trend("search P99", entries, points, [Change(4, 0.005, 0.997, 1.21)]),
        Trend("creation rate", entries[:2], rates),
    ]
    return [Course("ba5e" * 10, "Example, 2 cores", "c0nd1710", entries, trends)]


def test_of_one_machine(before, after):
    found = compare(before, after)
    check("compare.txt", printed(drawing.print_comparison, found))
    check("compare.md", drawing.markdown(found))


def test_of_two_machines(before, after):
    other = msgspec.structs.replace(provenance(), machine={"processor": "<b>|`x`\x1b", "cores": 4}, python="3.12.0")
    found = compare(before, msgspec.structs.replace(after, provenance=other))
    check("compare-refused.txt", printed(drawing.print_comparison, found))
    assert "\x1b" not in drawing.markdown(found)
    assert "<b>" not in drawing.markdown(found)


def test_in_ascii(before, after):
    assert "->=" not in printed(drawing.print_comparison, compare(before, after), encoding="ascii")
    assert "search P99" in printed(history.print_history, "gate", courses(), encoding="ascii")


def test_of_gates():
    check("history.txt", printed(history.print_history, "gate", courses()))
    check("history.md", history.markdown("gate", courses(), "gate.svg"))


def test_the_plot_is_the_same_bytes_every_time_and_marks_the_change():
    svg = history.plot(courses())
    assert svg == history.plot(courses())
    assert "3333333..4444444" in svg
    assert "creation rate" in svg
    assert "no gate" in history.plot([])

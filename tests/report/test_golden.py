"""Whole outputs, compared with files. `MEMBENCH_GOLDEN=write pytest tests/report` writes them anew: read the diff."""

import os
from pathlib import Path

import pytest

from harness.report.markdown import markdown

from .test_outputs import terminal

GOLDEN = Path(__file__).parent / "golden"


def check(name, text):
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    path = GOLDEN / name
    if os.environ.get("MEMBENCH_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["healthy", "failing", "invalid", "interrupted", "empty", "hopeless"])
def test_terminal(name, request):
    check(f"{name}.txt", terminal(request.getfixturevalue(name)))


def test_terminal_verbose(invalid):
    check("invalid-verbose.txt", terminal(invalid, width=100, verbose=True))


@pytest.mark.parametrize("name", ["healthy", "invalid"])
def test_markdown(name, request):
    plots = {"targets": "plots/targets.svg"}
    check(f"{name}.md", markdown(request.getfixturevalue(name), plots))

"""`membench selftest` as its user runs it."""

import json
import signal

import pytest

from tests.cli.conftest import Membench, membench

__all__ = ["membench"]
pytestmark = pytest.mark.slow


def test_two_cases_end_in_a_table_a_file_and_a_plot(membench: Membench) -> None:
    status, output = membench.run("selftest", "killed", "merged", "--out", "out", timeout=120)
    found = json.loads((membench.cwd / "out" / "selftest.json").read_text())
    verdicts = {row["verdict"] for row in found["rows"]}
    # A busy machine may spoil a figure; it must never make one wrong.
    assert "FAIL" not in verdicts, output
    assert status == (3 if "INVALID" in verdicts else 0), output
    assert found["not_run"] == []
    exact = [row for row in found["rows"] if row["check"]["excess_ms"] is None and row["check"]["plotted"] is None]
    assert {row["verdict"] for row in exact} == {"PASS"}, output
    assert "load process killed" in output
    assert (membench.cwd / "out" / "selftest.svg").read_text().startswith("<svg")
    assert membench.left_behind() == []


def test_ctrl_c_leaves_nothing_running_and_what_was_found(membench: Membench) -> None:
    process = membench.start("selftest", "frozen_generator", "--out", "out")
    membench.read_until(process, "2/2 ")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert membench.left_behind() == []
    found = json.loads((membench.cwd / "out" / "selftest.json").read_text())
    assert found["interrupted"]
    assert len(found["not_run"]) == 1
    assert found["rows"]


def test_no_such_case(membench: Membench) -> None:
    status, output = membench.run("selftest", "nonsense")
    assert status == 2
    assert "cases are saturated, idle" in output

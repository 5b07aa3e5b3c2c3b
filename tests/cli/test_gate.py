"""`membench gate` as its user runs it: real services, real load, a real PostgreSQL."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ROOT, Membench

pytestmark = pytest.mark.slow

RULES = Path(__file__).parent / "gate" / "rules.toml"
PLAIN = f"{sys.executable} -m reference_impl --port {{port}}"
QUICK = ("--rules", RULES, "--memories", 200, "--postgres", "embedded", "--seed", 7, "--out", "out")


def faulty(fault: str) -> str:
    return f"{sys.executable} -m scenarios.faults {fault} --port {{port}}"


def compare(membench: Membench, head: str, base: str = PLAIN, *more: object) -> tuple[int, str, Any]:
    status, output = membench.run("gate", "--base-command", base, "--head-command", head, *QUICK, *more)
    assert "Traceback" not in output
    assert membench.left_behind() == []
    return status, output, json.loads((membench.cwd / "out" / "gate.json").read_text())


@pytest.fixture(autouse=True)
def modules_are_found(membench: Membench) -> None:
    membench.environment["PYTHONPATH"] = str(ROOT)


def test_a_head_that_answers_errors_is_invalid(membench: Membench) -> None:
    status, output, record = compare(membench, faulty("errors=0.3"))
    assert status == 3, output
    assert "HTTP 500" in output
    assert len(record["pairs"]) == 1


def test_a_base_that_does_not_start_is_invalid_with_its_last_words(membench: Membench) -> None:
    broken = f"{sys.executable} -c \"import sys; sys.exit('the model is missing {{port}}')\""
    status, output, record = compare(membench, PLAIN, broken)
    assert status == 3
    assert "base: " in output
    assert "the model is missing" in output
    assert record["verdict"] == "INVALID"
    assert record["pairs"] == []


def test_a_head_of_another_schema_is_invalid(membench: Membench) -> None:
    status, output, record = compare(membench, faulty("other_schema"))
    assert status == 3
    assert "schema" in output
    assert record["sides"]["base"]["schema"] != record["sides"]["head"]["schema"]


def test_an_interrupt_keeps_what_was_measured(membench: Membench) -> None:
    process = membench.start("gate", "--base-command", PLAIN, "--head-command", PLAIN, *QUICK)
    membench.read_until(process, "pair 1 of")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert membench.left_behind() == []
    record = json.loads((membench.cwd / "out" / "gate.json").read_text())
    assert record["status"] == "interrupted"
    assert record["verdict"] == "INVALID"
    assert record["pairs"]


def test_a_change_that_slows_searches_is_found_and_nothing_else_accused(membench: Membench) -> None:
    repository = membench.home / "repository"
    shutil.copytree(ROOT / "reference_impl", repository / "reference_impl")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, repository)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=repository, check=True)
    changed = repository / "reference_impl" / "searcher.py"
    code, first = changed.read_text(), "        if query.shares.text and not query.terms:\n"
    assert code.count(first) == 1
    changed.write_text(code.replace(first, "        await __import__('asyncio').sleep(0.03)\n" + first))
    membench.cwd = repository
    status, output = membench.run("gate", "--base", "HEAD", *QUICK)
    assert status == 1, output
    assert membench.left_behind() == []
    record = json.loads((repository / "out" / "gate.json").read_text())
    assert record["sides"]["head"]["revision"] == record["sides"]["base"]["revision"] + "+"
    verdicts = {result["metric"]["name"]: result["verdict"] for result in record["metrics"]}
    assert verdicts["search P50"] == "REGRESSION"
    assert verdicts["get P50"] != "REGRESSION"
    assert "search P50" in (repository / "out" / "comment.md").read_text()
    assert ElementTree.parse(repository / "out" / "junit.xml").findall(".//failure")


@pytest.mark.parametrize(
    ("days", "ends_with", "said"), [(2, 0, "waived until"), (-2, 1, "its waiver expired on")], ids=["holds", "expired"]
)
def test_a_waiver_passes_a_regression_until_it_expires(
    membench: Membench, days: int, ends_with: int, said: str
) -> None:
    until = date.today() + timedelta(days=days)
    waiver = f'[[waiver]]\nmetric = "search P50"\nreason = "meant"\nuntil = {until}\n'
    (membench.cwd / "waivers.toml").write_text(waiver)
    status, output, record = compare(membench, faulty("slow_search=4"), PLAIN, "--inconclusive-is", "ok")
    assert status == ends_with, output
    assert f"{said} {until}: meant" in " ".join(output.split())
    assert f"{said} {until}: meant" in (membench.cwd / "out" / "comment.md").read_text()
    verdicts = {result["metric"]["name"]: result["verdict"] for result in record["metrics"]}
    assert verdicts["search P50"] == ("WAIVED" if days > 0 else "REGRESSION")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "in one way"),
        (("--base-url", "http://127.0.0.1:1"), "give both URLs"),
        (("--base-url", "http://a", "--head-url", "http://b", "--micro"), "--micro is of --base"),
        (("--base", "HEAD", "--rules", "nowhere.toml"), "cannot read nowhere.toml"),
        (("--base", "HEAD", "--waivers", "nowhere.toml"), "cannot read nowhere.toml"),
        (("--base", "HEAD", "--pairs", "6"), "--pairs and --from are of --calibrate"),
        (("--base", "HEAD"), "no revisions to compare with"),
    ],
)
def test_wrong_arguments_are_told_before_anything_starts(membench: Membench, words: tuple[str, ...], said: str) -> None:
    status, output = membench.run("gate", *words)
    assert status == 2, output
    assert said in output
    assert membench.left_behind() == []


def test_a_waiver_with_a_slip_of_the_pen_is_told_before_anything_starts(membench: Membench) -> None:
    (membench.cwd / "waivers.toml").write_text('[[waiver]]\nmetric = "search P59"\nreason = "a"\nuntil = 2099-01-01\n')
    status, output = membench.run("gate", "--base-command", PLAIN, "--head-command", PLAIN, *QUICK)
    assert status == 2, output
    assert 'a waiver names no metric: "search P59"' in output
    assert not (membench.cwd / "out").exists()

"""Baselines, comparisons and histories on the command line, over records as runs and gates leave them."""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.cli.app import main
from harness.core import gate as gates
from harness.core import record as records
from harness.core.gate import Compared, GateRecord, GateVerdict, MetricResult
from harness.core.rules import Metric, Rules
from harness.core.verdict import Verdict
from tests.report.runs import WARM, Server, make, provenance, result_of, target

METRICS = (Metric("search P99", "warm_query", "latency", "search", 99, gated=True),)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def membench(home, capsys):
    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    return call


def run(name, seed=1, base=9_000, **changes):
    values = {"targets": [target("warm_storage_query", Verdict.PASS, 30.0)], **changes}
    record = make(name, scenarios=[result_of(WARM, {"search": Server(base)}, seed)], **values)
    folder = Path("results/runs") / name
    folder.mkdir(parents=True)
    records.save(record, folder)
    return record


def gate(number, ratio=1.0, **changes):
    results = [MetricResult(METRICS[0], GateVerdict.NO_REGRESSION, 12, ratio, ratio / 1.04, ratio * 1.04)]
    values = {
        "id": f"gate-{number}",
        "created_at": f"2026-05-{number:02d}T09:00:00Z",
        "provenance": provenance(),
        "seed": number,
        "rules": Rules(looks=(12,), metrics=METRICS),
        "sides": {"base": Compared("v1", "ba5e" * 10), "head": Compared("HEAD", f"{number:02d}" + "c0ffee" * 6)},
        "blocks": {"warm_query": WARM},
        "metrics": results,
        "verdict": GateVerdict.NO_REGRESSION,
    }
    folder = Path("results/runs") / f"gate-{number}"
    folder.mkdir(parents=True)
    gates.save(GateRecord(**{**values, **changes}), folder)


def test_from_a_run_to_a_baseline_to_a_comparison(membench, home):
    run("first")
    run("second", 2)
    assert "no baselines yet" in membench("baseline", "list")[1]
    status, output = membench("compare", "second")
    assert (status, "there is no current baseline" in output) == (2, True)
    assert membench("baseline", "save", "first", "--as", "v0.1", "--note", "before the cache")[0] == 0
    kept = home / "results/baselines/v0.1"
    assert (kept / "run.json").read_bytes() == (home / "results/runs/first/run.json").read_bytes()
    about = json.loads((kept / "baseline.json").read_bytes())
    assert (about["run"], about["note"], about["despite"]) == ("first", "before the cache", [])
    assert {"group": "machine", "name": "cores", "value": "2"} in about["fingerprint"]["parts"]
    assert "v0.1 is the current baseline" in membench("baseline", "promote", "v0.1")[1]
    assert re.search(r"v0\.1 \(current\)", membench("baseline", "list")[1])
    assert re.search(r"setting shared_buffers +software +1971MB", membench("baseline", "show", "v0.1")[1])
    status, output = membench("compare", "second", "--out", "compare.md")
    assert status == 0
    assert "A: baseline v0.1 (run first)" in output
    assert "within noise" in output
    assert "not evidence for a gate" in output
    assert "membench gate" in output
    assert "| search | rate |" in (home / "compare.md").read_text()
    assert membench("compare", "v0.1", "results/runs/second")[0] == 0


def test_promoting_another_remembers_the_one_before(membench, home):
    run("first")
    for name in ("one", "two"):
        membench("baseline", "save", "first", "--as", name)
        membench("baseline", "promote", name)
    pointer = json.loads((home / "results/baselines/current.json").read_bytes())
    assert (pointer["name"], pointer["before"]) == ("two", "one")
    assert membench("baseline", "promote", "three")[0] == 2


def test_nothing_is_overwritten_and_names_are_checked(membench, home):
    run("first")
    membench("baseline", "save", "first", "--as", "v1")
    before = (home / "results/baselines/v1/baseline.json").read_bytes()
    status, output = membench("baseline", "save", "first", "--as", "v1")
    assert (status, "already" in output, "--as" in output) == (2, True, True)
    assert (home / "results/baselines/v1/baseline.json").read_bytes() == before
    for name in ("../v2", "V2", "a b", ".hidden", "current", "latest", ""):
        status, output = membench("baseline", "save", "first", "--as", name)
        assert (status, "is no name for a baseline" in output) == (2, True)
    assert [path.name for path in (home / "results/baselines").iterdir()] == ["v1"]
    run("v1", 2)
    assert "is a baseline and a run" in membench("compare", "v1", "first")[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "interrupted"}, "it was interrupted"),
        ({"status": "failed"}, "it failed"),
        ({"targets": []}, "its verdict is INVALID"),
    ],
)
def test_what_is_no_measure_for_others_is_kept_only_on_demand(membench, home, changes, why):
    run("bad", **changes)
    status, output = membench("baseline", "save", "bad", "--as", "bad")
    assert (status, why in output, "--anyway" in output) == (3, True, True)
    assert not (home / "results/baselines").exists()
    assert membench("baseline", "save", "bad", "--as", "bad", "--anyway")[0] == 0
    assert why in json.loads((home / "results/baselines/bad/baseline.json").read_bytes())["despite"]


def test_a_baseline_whose_record_was_changed_is_refused(membench, home):
    run("first")
    membench("baseline", "save", "first", "--as", "v1")
    path = home / "results/baselines/v1/run.json"
    path.write_bytes(path.read_bytes().replace(b'"2026-05-04T09:00:00Z"', b'"2027-05-04T09:00:00Z"'))
    status, output = membench("compare", "v1", "first")
    assert (status, "is not the record that was saved" in output) == (2, True)


def test_another_machine_is_refused_and_named(membench):
    run("here")
    there = msgspec.structs.replace(provenance(), machine={**provenance().machine, "processor": "Other 3.1 GHz"})
    run("there", provenance=there)
    status, output = membench("compare", "here", "there")
    assert status == 3
    assert "processor: Example 2.6 GHz in A, Other 3.1 GHz in B" in output
    assert "slower by" not in output
    status, output = membench("compare", "here", "there", "--json")
    found = json.loads(output)
    assert status == 3
    assert found["comparable"] is False
    assert found["differences"] == [
        {"group": "machine", "name": "processor", "a": "Example 2.6 GHz", "b": "Other 3.1 GHz"}
    ]
    assert {figure["finding"] for figure in found["figures"]} == {"no verdict"}


def test_a_gate_is_in_its_history_once(membench, home):
    gate(1)
    assert "added to" in membench("history", "add", "gate-1")[1]
    status, output = membench("history", "add", "results/runs/gate-1")
    assert (status, "is already in" in output) == (0, True)
    assert len((home / "results/history/gate.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": GateVerdict.INVALID, "reasons": ["steal of 9%"]}, "it is INVALID: steal of 9%"),
        ({"status": "interrupted"}, "it was interrupted"),
        ({"sides": {"base": Compared("tree", "ba5e+"), "head": Compared("HEAD", "1")}}, "no revision that stays"),
        ({"metrics": []}, "it has no ratio"),
    ],
)
def test_what_is_no_point_of_a_series_is_refused(membench, home, changes, why):
    gate(1, **changes)
    status, output = membench("history", "add", "gate-1")
    assert (status, why in output) == (3, True)
    assert not (home / "results/history").exists()


def test_a_run_has_no_place_in_a_history(membench):
    run("first")
    status, output = membench("history", "add", "first")
    assert (status, "only the ratios of a gate" in output) == (2, True)
    assert membench("history", "add", "nothing")[0] == 2
    assert membench("history")[0] == 2


def test_a_change_is_told_with_its_date_and_revisions_and_drawn(membench, home):
    noise = np.random.default_rng(1).normal(0, 0.01, 14)
    for number, each in enumerate(noise, start=1):
        gate(number, float(np.exp(each + 0.2 * (number > 8))))
    membench("history", "add", *(f"gate-{number}" for number in range(1, 15)))
    status, output = membench("history")
    assert status == 0
    assert re.search(r"2026-05-09 08c0ffe\.\.09c0ffe 2\d% worse", output)
    assert "14 gates against ba5eba5eba" in output
    assert "Advice" in output
    drawn = (home / "results/history/gate.svg").read_text()
    assert "08c0ffe..09c0ffe" in drawn
    assert "search P99" in drawn
    assert "![Ratios over time](gate.svg)" in (home / "results/history/gate.md").read_text()


def test_a_damaged_line_is_named(membench, home):
    gate(1)
    membench("history", "add", "gate-1")
    path = home / "results/history/gate.jsonl"
    path.write_text(path.read_text() + '{"gate": 1}\n')
    status, output = membench("history", "show")
    assert (status, "gate.jsonl:2" in output) == (2, True)


def test_help_shows_an_example(membench):
    for words in (["compare"], ["baseline"], ["baseline", "save"], ["history"], ["history", "add"]):
        status, output = membench(*words, "--help")
        assert (status, "Example" in output) == (0, True)

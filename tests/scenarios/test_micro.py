"""The micro-benchmarks, once each and untimed: that they run, and that those without a server say what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import scenarios

VARIABLE = "MEMBENCH_DATABASE_URL"
SUITES = ("test_caches", "test_embedding", "test_encoding", "test_sql")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[ElementTree.Element]:
    # Far from the repository, as `membench run` does it: nothing may depend on where it is started.
    folder = tmp_path_factory.mktemp("micro")
    report = folder / "report.xml"
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    environment["PYTHONPATH"] = str(scenarios.FOLDER.parent)
    command = [sys.executable, "-m", "pytest", str(scenarios.MICRO), "-q", "--benchmark-disable"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--rootdir={folder}", "--import-mode=importlib", f"--junitxml={report}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ElementTree.parse(report).getroot().findall(".//testcase")


def suite(case: ElementTree.Element) -> str:
    return next(name for name in case.attrib["classname"].split(".") if name in SUITES)


def test_each_suite_is_collected(cases: list[ElementTree.Element]) -> None:
    assert {suite(case) for case in cases} == set(SUITES)
    assert {path.stem for path in Path(scenarios.MICRO).glob("test_*.py")} == set(SUITES)


def test_what_needs_no_server_passes(cases: list[ElementTree.Element]) -> None:
    assert not [case.attrib["name"] for case in cases if suite(case) != "test_sql" and len(case)]


def test_what_needs_a_server_is_skipped_and_says_what_to_do(cases: list[ElementTree.Element]) -> None:
    without_server = {"test_floor_coroutine"}
    for case in cases:
        if suite(case) == "test_sql" and case.attrib["name"] not in without_server:
            skipped = case.find("skipped")
            assert skipped is not None, case.attrib["name"]
            assert VARIABLE in skipped.attrib["message"]
            assert "CREATE DATABASE" in skipped.attrib["message"]

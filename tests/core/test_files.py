"""Scenarios, suites and targets as they are shipped, and what is said of broken ones."""

from pathlib import Path

import pytest

import scenarios
from harness.core.errors import UsageError
from harness.core.histogram import enough_for
from harness.core.scenario import ClosedArrivals, OpenArrivals, load_scenario, load_suites, parse_duration
from harness.core.targets import load_targets

TARGETS = load_targets(scenarios.TARGETS)
SUITES = load_suites(scenarios.SUITES)
GOOD = """
name = "mine"
title = "t"
description = "d"
[arrivals]
kind = "open"
rate = 10
[[operations]]
name = "get"
request = "get"
"""


def test_the_ten_rows_of_the_guide_with_its_bounds_and_one_of_ours() -> None:
    bounds = {target.id: (target.target, target.critical, target.unit) for target in TARGETS}
    assert bounds == {
        "working_memory_access": (1, 2, "ms"),
        "warm_storage_query": (100, 500, "ms"),
        "cold_storage_retrieval": (20, 60, "s"),
        "memory_creation_rate": (1000, 500, "1/s"),
        "search_operations": (500, 200, "1/s"),
        "concurrent_users": (100, 50, "users"),
        "error_rate": (1, 5, "%"),
        "connection_pool": (70, 90, "%"),
        "compression_ratio": (10, 5, ":1"),
        "cache_hit_ratio": (90, 70, "%"),
        "search_recall": (95, 85, "%"),
    }


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.id)
def test_every_target_is_measured_by_a_scenario_that_exists(target: object) -> None:
    shipped = load_scenario(scenarios.paths()[target.scenario])  # type: ignore[attr-defined]
    operation = target.operation  # type: ignore[attr-defined]
    assert operation is None or operation in {each.name for each in shipped.operations}


@pytest.mark.parametrize("suite", ["smoke", "standard", "full"])
def test_every_judged_suite_carries_the_percentiles_and_rates_that_it_is_judged_by(suite: str) -> None:
    listed = SUITES[suite].scenarios
    for target in TARGETS:
        assert target.scenario in listed
        shipped = load_scenario(scenarios.paths()[target.scenario]).in_suite(suite)
        if target.metric == "latency":
            assert isinstance(shipped.arrivals, OpenArrivals)
            assert shipped.arrivals.rate * shipped.phases.measure >= enough_for(target.percentile)
        if target.metric == "rate":
            assert isinstance(shipped.arrivals, OpenArrivals)
            assert shipped.arrivals.rate > target.target
        if target.metric == "users":
            assert isinstance(shipped.arrivals, ClosedArrivals)
            assert shipped.arrivals.users >= target.target


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_every_suite_lists_scenarios_that_exist(suite: str) -> None:
    assert set(SUITES[suite].scenarios) <= {*scenarios.paths(), "micro"}


@pytest.mark.parametrize("path", scenarios.paths().values(), ids=lambda path: path.stem)
def test_the_seconds_of_shipped_stages_are_seconds(path: Path) -> None:
    shipped = load_scenario(path)
    if isinstance(shipped.arrivals, OpenArrivals) and shipped.arrivals.stages:
        assert sum(stage.seconds for stage in shipped.arrivals.stages) == shipped.phases.measure


@pytest.mark.parametrize(("suite", "bound"), [("smoke", 120), ("standard", 600), ("shapes", 300)])
def test_suites_keep_their_promised_length(suite: str, bound: float) -> None:
    files = scenarios.paths()
    phases = [load_scenario(files[name]).in_suite(suite).phases for name in SUITES[suite].scenarios if name in files]
    assert sum(each.warmup + each.measure for each in phases) < bound


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "missing required field"),
        (GOOD.replace("rate = 10", "rate = 0"), "arrivals.rate"),
        (GOOD.replace('kind = "open"', 'kind = "ajar"'), "ajar"),
        (GOOD.replace("rate = 10", "rate = 10\nspeed = 3"), "speed"),
        (GOOD.replace('request = "get"', 'request = "forget"'), "forget"),
        (GOOD.replace('"mine"', '"other"'), "must be that of its file"),
        (GOOD + '[[operations]]\nname = "get"\nrequest = "get"', "same name"),
        (GOOD.replace('kind = "open"\nrate', 'kind = "closed"\nusers').replace("[arr", "floor = true\n[arr"), "floor"),
        (GOOD.replace("rate = 10", "rate = 10\nstages = [{share = 0.5, seconds = 3}]"), "highest share"),
        (GOOD.replace("rate = 10", "rate = 10\nstages = [{share = 2.0, seconds = 3}]"), "stages[0].share"),
        (
            GOOD.replace("rate = 10", 'rate = 10\nprocess = "ramp"\nstages = [{share = 1.0, seconds = 3}]'),
            "stage with a `to`",
        ),
        ("name = [", "mine.toml"),
    ],
)
def test_a_broken_scenario_names_the_file_and_the_field(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(change)
    with pytest.raises(UsageError, match=r"mine\.toml") as caught:
        load_scenario(path)
    assert message in str(caught.value)


def test_a_target_looser_than_its_critical_threshold_is_refused(tmp_path: Path) -> None:
    text = scenarios.TARGETS.read_text().replace("target = 1000\n", "target = 100\n")
    (tmp_path / "targets.toml").write_text(text)
    with pytest.raises(UsageError, match="stricter"):
        load_targets(tmp_path / "targets.toml")


def test_missing_files_are_told(tmp_path: Path) -> None:
    for load in (load_scenario, load_targets, load_suites):
        with pytest.raises(UsageError, match="No such file"):
            load(tmp_path / "nothing.toml")


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("300", 300), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-3s", "0", "5 minutes", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="no duration"):
        parse_duration(text)

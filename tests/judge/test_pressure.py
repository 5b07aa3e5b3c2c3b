"""The cost of pressure: rounds taken together, verdicts without it, and whose loss it was."""

from collections.abc import Callable

import pytest

from harness.core.record import Provenance, RunRecord, ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import OpenArrivals, Operation, Scenario
from harness.judge.targets import judge

MakeLog = Callable[..., OperationLog]


def result(log: OperationLog, name: str, pressure: str = "") -> ScenarioResult:
    scenario = Scenario(name, "", "", OpenArrivals(rate=200), (Operation("get", "get"),))
    start = "2026-01-01T00:00:00+00:00"
    return ScenarioResult(scenario, start, 10.0, "complete", 1, {}, [log], pressure=pressure)


def judged(*results: ScenarioResult) -> RunRecord:
    record = RunRecord("x", "", Provenance("", [], "", False, {}, "", {}), 1, scenarios=list(results))
    judge(record, [])
    return record


def test_rounds_are_merged_not_averaged(make_log: MakeLog) -> None:
    record = judged(
        result(make_log(service_ms=1.0), "mixed"),
        result(make_log(service_ms=4.0), "mixed_pressed", "CPU"),
        result(make_log(service_ms=2.0, count=1000), "mixed_pressed_again", "CPU"),
        result(make_log(service_ms=1.0), "mixed_again"),
    )
    costs = {cost.figure: cost for cost in record.pressure_costs}
    assert costs["response P50"].calm == pytest.approx(1000, rel=0.01)
    assert costs["response P50"].pressed == pytest.approx(4000, rel=0.01)  # two thirds of all; a mean were 3,000
    assert costs["response P50"].ratio == pytest.approx(4, rel=0.01)
    assert costs["rate"].calm == pytest.approx(200)
    assert costs["rate"].pressed == pytest.approx(150)
    assert costs["failed"].ratio is None


def test_too_few_requests_have_no_percentile(make_log: MakeLog) -> None:
    few = [result(make_log(count=400), "mixed"), result(make_log(count=400), "mixed_pressed", "CPU")]
    costs = {cost.figure: cost for cost in judged(*few).pressure_costs}
    assert costs["response P95"].calm is not None
    assert costs["response P99"].calm is costs["response P99"].pressed is costs["response P99"].ratio is None


def test_what_fails_under_pressure_fails_no_run(make_log: MakeLog) -> None:
    record = judged(result(make_log(), "mixed"), result(make_log(errors=1000), "mixed_pressed", "CPU"))
    assert record.verdict == "PASS"
    assert record.scenarios[1].verdicts["get"].verdict == "FAIL"
    costs = {cost.figure: cost for cost in record.pressure_costs}
    assert costs["failed"].pressed == 50


def test_a_generator_that_lagged_under_pressure_is_named(make_log: MakeLog) -> None:
    record = judged(result(make_log(), "mixed"), result(make_log(lag_ms=80.0), "mixed_pressed", "CPU"))
    assert record.verdict == "PASS"
    (reason,) = record.reasons
    assert "mixed_pressed, get: the cost of pressure is not the service's alone: the generator lagged" in reason


def test_a_run_without_pressure_has_no_cost(make_log: MakeLog) -> None:
    assert judged(result(make_log(), "mixed")).pressure_costs == []
    assert judged(result(make_log(), "mixed_pressed", "CPU")).pressure_costs == []

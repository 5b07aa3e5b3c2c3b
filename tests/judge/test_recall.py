"""Recall against its bounds, and when nothing can be said of it."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.core.readings import GeneratorHealth, Recall
from harness.core.recorder import OperationLog
from harness.core.verdict import Verdict
from harness.judge.targets import judge_target, worth_repeating
from tests.judge.test_targets import TARGETS, result

TARGET = TARGETS["search_recall"]
Make = Callable[..., OperationLog]


def judged(make_log: Make, found: Recall | None, **changes: Any) -> Any:
    recall = {} if found is None else {"search": found}
    return judge_target(TARGET, result("search_complex", make_log("search"), recall=recall, **changes))


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [
        (0.999, 0.99, 1.0, "PASS"),
        (0.95, 0.90, 0.98, "PASS"),
        (0.949, 0.90, 0.98, "WARN"),
        (0.86, 0.85, 0.90, "WARN"),
        (0.80, 0.75, 0.85, "FAIL"),
    ],
)
def test_recall_against_its_bounds(make_log: Make, mean: float, low: float, high: float, verdict: str) -> None:
    found = judged(make_log, Recall(12, 60, mean, low, high))
    assert (found.verdict, found.value) == (verdict, pytest.approx(100 * mean))
    assert found.reasons == []


@pytest.mark.parametrize("mean", [0.84, 0.88, 0.96])
def test_an_interval_on_both_sides_of_the_critical_bound_decides_nothing(make_log: Make, mean: float) -> None:
    found = judged(make_log, Recall(12, 20, mean, 0.8, 0.98))
    assert found.verdict == Verdict.INVALID
    assert "20 queries leave 80.0 to 98.0%" in found.reasons[0]
    assert found.hints


def test_without_recall_it_is_not_measured_and_says_why(make_log: Make) -> None:
    assert judged(make_log, None).verdict == Verdict.NOT_MEASURED
    found = judged(make_log, None, recall_missing={"search": "the service describes no exact search"})
    assert (found.verdict, found.reasons) == (Verdict.NOT_MEASURED, ["the service describes no exact search"])
    measured = result("search_complex", make_log("search"))
    assert worth_repeating(measured, [TARGET]) == []


def test_load_that_was_not_offered_says_nothing_of_recall_under_it(make_log: Make) -> None:
    found = judged(make_log, Recall(12, 60, 0.99, 0.98, 1.0), generator=GeneratorHealth(cpu_mean=0.97))
    assert found.verdict == Verdict.INVALID

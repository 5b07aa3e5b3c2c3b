"""PASS for what is right and nothing else; INVALID for what the machine explains; FAIL for the rest."""

from collections.abc import Callable

import pytest

from harness.core.readings import GeneratorHealth
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.verdict import Verdict
from harness.selftest import check
from harness.selftest.check import Check, rule
from harness.selftest.conditions import Conditions, _worst, conditions
from harness.selftest.expected import Range
from harness.selftest.offering import even

HEALTHY = Conditions(lag_ms=3.0, waits_ms={"generator": 2.0, "server": 1.0})
LAGGED = Conditions(lag_ms=400.0)
STARVED = Conditions(waits_ms={"generator": 150.0, "server": 100.0})


def p99(measured_ms: float | None) -> Check:
    expected = Range(1000, 1000)
    return check.time("P99", expected, expected.widened(5), None if measured_ms is None else measured_ms * 1e3)


@pytest.mark.parametrize(
    ("measured", "around", "verdict"),
    [
        (1000, HEALTHY, Verdict.PASS),
        (1035, LAGGED, Verdict.PASS),
        (1036, HEALTHY, Verdict.INVALID),  # one millisecond, and the generator was three late
        (1200, HEALTHY, Verdict.FAIL),
        (1200, LAGGED, Verdict.INVALID),
        (1200, STARVED, Verdict.INVALID),
        (1500, LAGGED, Verdict.FAIL),  # lag does not explain more than itself
        (900, LAGGED, Verdict.FAIL),  # nor anything too small
        (900, STARVED, Verdict.FAIL),
        (900, Conditions(doubts=["the generator used 99% of its core"]), Verdict.FAIL),
        (1200, Conditions(doubts=["the generator used 99% of its core"]), Verdict.INVALID),
        (900, Conditions(doubts=["the generator failed: killed"], broken=True), Verdict.INVALID),
        (None, HEALTHY, Verdict.FAIL),  # measured nothing
        (None, LAGGED, Verdict.FAIL),
        (None, Conditions(doubts=["the generator failed: killed"], broken=True), Verdict.INVALID),
    ],
)
def test_a_time(measured: float | None, around: Conditions, verdict: Verdict) -> None:
    said, reason = rule(p99(measured), around)
    assert said == verdict
    assert bool(reason) == (verdict != Verdict.PASS)


def test_the_true_reason_is_told() -> None:
    assert "the generator lagged by up to 400 ms" in rule(p99(1200), LAGGED)[1]
    assert "no CPU" in rule(p99(1200), STARVED)[1]
    lagged_for_want_of_cpu = Conditions(lag_ms=200, waits_ms={"generator": 150})
    assert "lagged by up to 200 ms: no CPU, it waited 150 ms" in rule(p99(1200), lagged_for_want_of_cpu)[1]


def test_no_delay_excuses_a_wrong_count_or_verdict() -> None:
    assert rule(check.counts("sent", 100, {"sent": 99}), LAGGED)[0] == Verdict.FAIL
    assert rule(check.counts("sent", 100, {"sent": 100, "ended": 100}), LAGGED)[0] == Verdict.PASS
    assert rule(check.says("verdict", "INVALID", "FAIL", False), STARVED)[0] == Verdict.FAIL


def test_a_rate_is_off_by_the_time_that_would_have_brought_the_rest() -> None:
    assert check.rate("rate", 200, 0.01, 199, 6).right
    assert check.rate("rate", 200, 0.01, 188, 6).excess_ms == pytest.approx(300)


def test_what_is_only_shown_has_no_verdict() -> None:
    assert rule(check.shown("floor", "1 ms"), LAGGED) == (None, "")


def test_conditions_of_a_result(make_log: Callable[..., OperationLog]) -> None:
    log = make_log("noop", lag_ms=7.0)
    result = ScenarioResult(even(200, 10), "", 10, "complete", 1, {}, [log], GeneratorHealth(cpu_mean=0.95))
    around = conditions(result, {})
    assert around.lag_ms == pytest.approx(7, rel=0.01)
    assert not around.broken
    assert "95% of its core" in around.excuse(1.0)
    assert conditions(result, {}, without_lag=True).lag_ms == 0
    result.generator = GeneratorHealth(workers=2, reported=1)
    assert "1 of 2 load processes did not report" in conditions(result, {}).excuse(None)


def test_the_worst_wait_spans_two_readings() -> None:
    assert _worst([0, 1, 5, 9, 9]) == 8
    assert _worst([3, 5]) == 2
    assert _worst([]) == 0

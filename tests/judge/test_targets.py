"""Verdicts: each bound, each doubt, the floor, and what a run's verdict is made of."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

import scenarios
from harness.core.readings import GeneratorHealth, Sample, ServiceReadings
from harness.core.record import Provenance, RunRecord, ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import load_scenario
from harness.core.targets import Target, load_targets
from harness.core.verdict import Verdict, exit_status, overall
from harness.judge.targets import judge, judge_target, worth_repeating

TARGETS = {target.id: target for target in load_targets(scenarios.TARGETS)}
Make = Callable[..., OperationLog]


def result(name: str, *logs: OperationLog, seconds: float = 10.0, **changes: Any) -> ScenarioResult:
    return ScenarioResult(
        scenario=load_scenario(scenarios.paths()[name]).under(duration=seconds),
        started_at="2026-01-01T00:00:00+00:00",
        seconds=seconds,
        status=changes.pop("status", "complete"),
        seed=1,
        tapes={},
        operations=list(logs),
        **changes,
    )


def record(*results: ScenarioResult) -> RunRecord:
    provenance = Provenance("0", [], "", False, {}, "", {})
    return RunRecord("id", "2026-01-01T00:00:00+00:00", provenance, 1, scenarios=list(results))


def warm(make_log: Make, **changes: Any) -> tuple[Target, ScenarioResult]:
    generator = changes.pop("generator", GeneratorHealth())
    status = changes.pop("status", "complete")
    log = make_log("search", **changes)
    return TARGETS["warm_storage_query"], result("warm_query", log, generator=generator, status=status)


@pytest.mark.parametrize(("service_ms", "verdict"), [(99, "PASS"), (101, "WARN"), (499, "WARN"), (502, "FAIL")])
def test_a_latency_against_its_bounds(make_log: Make, service_ms: float, verdict: str) -> None:
    judged = judge_target(*warm(make_log, service_ms=service_ms))
    assert judged.verdict == verdict
    assert judged.value == pytest.approx(service_ms, rel=0.002)


def test_the_percentile_is_judged_and_not_the_mean(make_log: Make) -> None:
    slow_tail = np.ones(2000)
    slow_tail[::50] = 600
    assert judge_target(*warm(make_log, service_ms=slow_tail)).verdict == Verdict.FAIL


def test_too_few_samples_for_the_percentile_is_invalid(make_log: Make) -> None:
    judged = judge_target(*warm(make_log, count=100))
    assert judged.verdict == Verdict.INVALID
    assert "100 requests are too few for a P99, which needs 1000" in judged.reasons[0]
    assert "--duration" in judged.hints[0]


def test_a_generator_that_froze_is_not_blamed_on_the_server(make_log: Make) -> None:
    lag = np.zeros(2000)
    lag[500:900] = np.linspace(2000, 0, 400)
    judged = judge_target(*warm(make_log, lag_ms=lag))
    assert judged.verdict == Verdict.INVALID
    assert "the generator lagged" in judged.reasons[0]


def test_lag_that_decides_the_verdict_is_invalid(make_log: Make) -> None:
    judged = judge_target(*warm(make_log, service_ms=80, lag_ms=30))
    assert judged.verdict == Verdict.INVALID
    assert "decides the verdict" in judged.reasons[0]


def test_lag_that_changes_nothing_leaves_the_verdict(make_log: Make) -> None:
    assert judge_target(*warm(make_log, service_ms=20, lag_ms=30)).verdict == Verdict.PASS
    assert judge_target(*warm(make_log, service_ms=700, lag_ms=30)).verdict == Verdict.FAIL


def test_a_run_with_skips_cannot_pass(make_log: Make) -> None:
    assert judge_target(*warm(make_log, skipped=1)).verdict == Verdict.INVALID
    assert judge_target(*warm(make_log, skipped=1, service_ms=600)).verdict == Verdict.FAIL


def test_requests_that_never_ended_hide_the_percentile_when_they_are_too_many(make_log: Make) -> None:
    few = judge_target(*warm(make_log, censored=10))
    assert few.verdict == Verdict.PASS
    target, measured = warm(make_log, censored=20 + 10)
    assert judge_target(target, measured).verdict == Verdict.FAIL  # ten seconds without an answer are above 500 ms
    lenient = msgspec.structs.replace(target, target=20_000, critical=60_000)
    hidden = judge_target(lenient, measured)
    assert hidden.verdict == Verdict.INVALID
    assert "no answer 10 s after the last was due" in hidden.reasons[0]


@pytest.mark.parametrize(("errors", "verdict"), [(10, "PASS"), (60, "WARN"), (200, "FAIL"), (2000, "FAIL")])
def test_failing_fast_does_not_pass_for_being_fast(make_log: Make, errors: int, verdict: str) -> None:
    judged = judge_target(*warm(make_log, errors=errors))
    assert judged.verdict == verdict
    if verdict != "PASS":
        assert "HTTP 500" in judged.reasons[0]


def test_a_service_that_never_answers_fails(make_log: Make) -> None:
    target, hung = warm(make_log, censored=2000)
    assert judge_target(target, hung).verdict == Verdict.FAIL
    run = record(result("noop", make_log("noop", censored=2000)))
    judge(run, list(TARGETS.values()))
    assert run.verdict == Verdict.FAIL
    assert "no answer within the drain x2000" in run.scenarios[0].verdicts["noop"].reasons[0]


@pytest.mark.parametrize("service_ms", [1.0, 900.0])
@pytest.mark.parametrize(
    ("generator", "status", "reason"),
    [
        (GeneratorHealth(cpu_mean=0.97), "complete", "97% of its core"),
        (GeneratorHealth(steal=0.3), "complete", "hypervisor took 30%"),
        (GeneratorHealth(workers=2, reported=1), "complete", "1 of 2 load processes did not report"),
        (GeneratorHealth(), "interrupted", "interrupted"),
        (GeneratorHealth(), "failed", "generator failed"),
    ],
)
def test_doubt_about_the_generator_or_the_host(
    make_log: Make, generator: GeneratorHealth, status: str, reason: str, service_ms: float
) -> None:
    judged = judge_target(*warm(make_log, generator=generator, status=status, service_ms=service_ms))
    assert judged.verdict == Verdict.INVALID
    assert reason in judged.reasons[-1]
    assert judged.hints


def test_a_recorder_that_lost_requests_is_found_out(make_log: Make) -> None:
    target, measured = warm(make_log)
    measured.operations[0].tally.ok += 5
    judged = judge_target(target, measured)
    assert judged.verdict == Verdict.INVALID
    assert "2005 successful requests but 2000 recorded" in judged.reasons[0]


def test_a_scenario_that_measured_nothing_is_invalid(make_log: Make) -> None:
    empty = make_log("search", count=0)
    judged = judge_target(TARGETS["warm_storage_query"], result("warm_query", empty))
    assert judged.verdict == Verdict.INVALID
    assert "nothing was measured" in judged.reasons[0]


def working(make_log: Make, floor_ms: float, *, get_ms: float, server_ms: float | None) -> Any:
    get = make_log("get", service_ms=get_ms, server_ms=server_ms)
    noop = make_log("noop", service_ms=floor_ms, server_ms=0.01)
    return judge_target(TARGETS["working_memory_access"], result("working_access", get, noop))


def test_where_the_floor_hides_the_target_the_server_clock_is_judged_and_it_says_so(make_log: Make) -> None:
    judged = working(make_log, 2.6, get_ms=3.0, server_ms=0.2)
    assert (judged.verdict, judged.clock) == (Verdict.PASS, "server")
    assert judged.value == pytest.approx(0.2, rel=0.01)
    assert judged.floor == pytest.approx(2.6, rel=0.01)
    assert "the service's own clock is judged" in judged.reasons[0]
    assert working(make_log, 2.6, get_ms=5.0, server_ms=2.5).verdict == Verdict.FAIL


def test_a_server_that_stood_still_under_both_does_not_pass_by_its_own_clock(make_log: Make) -> None:
    stalled = np.ones(2000)
    stalled[500:900] = np.linspace(2000, 0, 400)
    get, noop = make_log("get", service_ms=stalled, server_ms=0.3), make_log("noop", service_ms=stalled)
    judged = judge_target(TARGETS["working_memory_access"], result("working_access", get, noop))
    assert judged.verdict == Verdict.INVALID
    assert "stalled as well" in judged.reasons[0]


def test_a_wait_that_the_floor_does_not_explain_is_the_services(make_log: Make) -> None:
    judged = working(make_log, 0.7, get_ms=20.0, server_ms=0.3)
    assert (judged.verdict, judged.clock) == (Verdict.FAIL, "response")


def test_a_server_clock_on_some_answers_only_is_not_believed(make_log: Make) -> None:
    get, noop = make_log("get", service_ms=3.0, server_ms=0.3), make_log("noop", service_ms=2.6)
    get.tally.without_server_clock = 1900
    judged = judge_target(TARGETS["working_memory_access"], result("working_access", get, noop))
    assert judged.verdict == Verdict.INVALID
    assert "with each answer" in judged.reasons[0]


def test_a_service_without_a_noop_endpoint_is_judged_all_the_same(make_log: Make) -> None:
    run = record(
        result("working_access", make_log("get", service_ms=0.5), make_log("noop", errors=2000, kind="HTTP 404"))
    )
    judge(run, [TARGETS["working_memory_access"]])
    assert run.verdict == Verdict.PASS
    assert run.targets[0].floor is None


def test_where_the_floor_is_low_the_client_is_believed(make_log: Make) -> None:
    judged = working(make_log, 0.2, get_ms=1.5, server_ms=0.2)
    assert (judged.verdict, judged.clock) == (Verdict.WARN, "response")


def test_a_client_that_shows_the_target_in_spite_of_the_floor_is_believed(make_log: Make) -> None:
    judged = working(make_log, 0.8, get_ms=0.9, server_ms=5.0)
    assert (judged.verdict, judged.clock) == (Verdict.PASS, "response")


def test_a_hidden_target_without_a_server_clock_is_invalid(make_log: Make) -> None:
    judged = working(make_log, 2.6, get_ms=3.0, server_ms=None)
    assert judged.verdict == Verdict.INVALID
    assert "Server-Timing" in judged.hints[0]


def creation(make_log: Make, **changes: Any) -> Any:
    changes = {"count": 10_500, "service_ms": 5.0, **changes}
    return judge_target(TARGETS["memory_creation_rate"], result("creation", make_log("create", **changes)))


def test_a_service_that_keeps_up_with_the_offered_rate_passes(make_log: Make) -> None:
    judged = creation(make_log)
    assert judged.verdict == Verdict.PASS
    assert judged.value == pytest.approx(1050, rel=0.01)


def test_skips_are_the_services_limit_and_keep_a_rate_from_passing(make_log: Make) -> None:
    slow = creation(make_log, skipped=3000)
    assert slow.verdict == Verdict.WARN
    assert "the service's limit" in slow.reasons[0]
    assert creation(make_log, skipped=200).verdict == Verdict.WARN
    assert creation(make_log, skipped=6000).verdict == Verdict.FAIL


def test_a_stall_of_the_generator_is_not_the_services_limit(make_log: Make) -> None:
    decided = creation(make_log, skipped=700, late_skips=True)
    assert decided.verdict == Verdict.INVALID
    assert "stall of the generator" in decided.reasons[0]
    assert creation(make_log, skipped=3000, late_skips=False).verdict == Verdict.WARN


def test_a_rate_needs_some_seconds(make_log: Make) -> None:
    log = make_log("create", count=500, seconds=1)
    judged = judge_target(TARGETS["memory_creation_rate"], result("creation", log, seconds=0.5))
    assert judged.verdict == Verdict.INVALID
    assert "too short for a rate" in judged.reasons[0]


def test_a_rate_limited_by_what_was_offered_says_nothing_of_the_service(make_log: Make) -> None:
    judged = creation(make_log, count=3000)
    assert judged.verdict == Verdict.INVALID
    assert "only 300/s were offered" in judged.reasons[0]


def test_a_late_generator_does_not_make_a_slow_service(make_log: Make) -> None:
    judged = creation(make_log, lag_ms=200.0)
    assert judged.verdict == Verdict.INVALID


def mixed(make_log: Make, count: int = 950, **changes: Any) -> ScenarioResult:
    readings = ServiceReadings(pool_utilization=[Sample(t / 2, 0.1 if t < 36 else 0.8) for t in range(40)])
    log = make_log("get", count=count, **changes)
    return result("mixed", log, service=readings)


def test_users_who_are_served_keep_the_rate_of_their_think_time(make_log: Make) -> None:
    judged = judge_target(TARGETS["concurrent_users"], mixed(make_log))
    assert (judged.verdict, judged.value) == (Verdict.PASS, 100)
    slow = judge_target(TARGETS["concurrent_users"], mixed(make_log, count=600))
    assert slow.verdict == Verdict.WARN
    assert slow.value == 63
    assert "100 users made 60.0 requests/s of the 95.2" in slow.reasons[0]


@pytest.mark.parametrize(("errors", "verdict"), [(0, "PASS"), (30, "WARN"), (100, "FAIL")])
def test_error_rates(make_log: Make, errors: int, verdict: str) -> None:
    assert judge_target(TARGETS["error_rate"], mixed(make_log, errors=errors)).verdict == verdict


def test_the_pool_is_judged_by_its_busy_moments(make_log: Make) -> None:
    judged = judge_target(TARGETS["connection_pool"], mixed(make_log))
    assert (judged.verdict, judged.value) == (Verdict.WARN, pytest.approx(80))


def test_what_a_service_does_not_tell_is_not_measured_and_never_pass(make_log: Make) -> None:
    for name in ("compression_ratio", "cache_hit_ratio", "connection_pool"):
        target = TARGETS[name]
        judged = judge_target(target, result(target.scenario, make_log(target.operation or "get")))
        assert judged.verdict == Verdict.NOT_MEASURED
        assert judged.value is None


def test_a_pool_that_could_not_be_read_is_not_believed(make_log: Make) -> None:
    for readings, missed in ((40, 5), (3, 0)):
        measured = mixed(make_log)
        measured.service.pool_utilization = measured.service.pool_utilization[:readings]
        measured.service.pool_missed = missed
        assert judge_target(TARGETS["connection_pool"], measured).verdict == Verdict.INVALID


def test_users_who_never_think_are_not_judged(make_log: Make) -> None:
    measured = mixed(make_log)
    arrivals = msgspec.structs.replace(measured.scenario.arrivals, think=(0, 0))
    measured.scenario = msgspec.structs.replace(measured.scenario, arrivals=arrivals)
    assert judge_target(TARGETS["concurrent_users"], measured).verdict == Verdict.NOT_MEASURED


def test_cache_hits_and_compression(make_log: Make) -> None:
    readings = ServiceReadings(cache_hits={"search": 92}, cache_misses={"search": 8}, compression_ratio=7.0)
    hits = judge_target(TARGETS["cache_hit_ratio"], result("search_repeated", make_log("search"), service=readings))
    ratio = judge_target(TARGETS["compression_ratio"], result("cold_retrieval", make_log("get"), service=readings))
    assert (hits.verdict, hits.value) == (Verdict.PASS, 92)
    assert (ratio.verdict, ratio.value) == (Verdict.WARN, 7.0)


def test_a_scenario_that_did_not_run_is_not_measured() -> None:
    judged = judge_target(TARGETS["error_rate"], None)
    assert judged.verdict == Verdict.NOT_MEASURED


def test_a_load_process_that_died_makes_its_targets_invalid() -> None:
    dead = result("warm_query", status="failed", generator=GeneratorHealth(reported=0), failure="killed by SIGKILL")
    judged = judge_target(TARGETS["warm_storage_query"], dead)
    assert judged.verdict == Verdict.INVALID
    assert any("killed by SIGKILL" in reason for reason in judged.reasons)
    assert worth_repeating(dead, list(TARGETS.values()))


def test_only_judged_figures_and_failed_operations_make_the_verdict(make_log: Make) -> None:
    target, healthy = warm(make_log)
    run = record(healthy, result("noop", make_log("noop", skipped=5)))
    judge(run, [target])
    assert run.verdict == Verdict.PASS
    assert run.scenarios[1].verdicts["noop"].verdict == Verdict.INVALID
    run = record(healthy, result("noop", make_log("noop", errors=1000)))
    judge(run, [target])
    assert run.verdict == Verdict.FAIL


def test_without_targets_the_operations_decide(make_log: Make) -> None:
    for log, verdict in ((make_log("noop"), "PASS"), (make_log("noop", skipped=9), "INVALID")):
        run = record(result("noop", log))
        judge(run, list(TARGETS.values()))
        assert run.verdict == verdict


def test_a_run_that_measured_nothing_is_invalid() -> None:
    run = record()
    judge(run, list(TARGETS.values()))
    assert run.verdict == Verdict.INVALID
    assert run.reasons == ["nothing was measured"]


def test_only_what_may_pass_is_worth_repeating(make_log: Make) -> None:
    target, lagged = warm(make_log, lag_ms=200.0)
    assert "lagged" in worth_repeating(lagged, [target])[0]
    assert worth_repeating(warm(make_log, count=50)[1], [target]) == []
    assert worth_repeating(warm(make_log)[1], [target]) == []


def test_verdicts_together_and_their_exit_statuses() -> None:
    assert overall([Verdict.PASS, Verdict.INVALID, Verdict.FAIL]) == Verdict.FAIL
    assert overall([Verdict.PASS, Verdict.INVALID, Verdict.WARN]) == Verdict.INVALID
    assert overall([Verdict.PASS, Verdict.NOT_MEASURED, Verdict.WARN]) == Verdict.WARN
    assert overall([Verdict.NOT_MEASURED]) == Verdict.INVALID
    assert [exit_status(verdict) for verdict in Verdict] == [0, 0, 1, 3, 3]


def test_a_judged_record_survives_its_file(make_log: Make) -> None:
    run = record(warm(make_log)[1])
    judge(run, list(TARGETS.values()))
    again = msgspec.json.decode(msgspec.json.encode(run), type=RunRecord)
    assert again == run

"""Drift: found where it is, not found in noise, and nobody's growth taken for another's."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from harness.core.readings import Sample, Series, Telemetry
from harness.core.record import Provenance, RunRecord, ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import OpenArrivals, Operation, Phases, Scenario
from harness.judge.drift import drifts, is_news, told
from harness.judge.targets import judge

MakeLog = Callable[..., OperationLog]
SECONDS = 120
COUNT = 20 * SECONDS
TIME = np.linspace(0, 1, COUNT)


def result(
    log: OperationLog,
    *,
    seconds: float = SECONDS,
    arrivals: OpenArrivals | None = None,
    series: list[Series] | None = None,
) -> ScenarioResult:
    scenario = Scenario(
        name="soak",
        title="",
        description="",
        arrivals=arrivals or OpenArrivals(rate=20),
        operations=(Operation("get", "get"),),
        phases=Phases(measure=seconds),
    )
    made = ScenarioResult(
        scenario=scenario,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=seconds,
        status="complete",
        seed=1,
        tapes={},
        operations=[log],
        telemetry=Telemetry(series=series or []),
    )
    made.drifts = drifts(made)
    return made


def noise(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(1, 0.4, COUNT)


def memory(group: Literal["generator", "service"], name: str, per_minute: float) -> Series:
    wobble = np.random.default_rng(2).normal(0, 0.2, SECONDS)
    values = [Sample(float(n), 100 + per_minute * n / 60 + float(wobble[n])) for n in range(SECONDS)]
    return Series(group, name, "MiB", values)


def news(made: ScenarioResult) -> set[str]:
    return {drift.name for drift in made.drifts if is_news(drift, made.seconds)}


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_news(make_log: MakeLog, seed: int) -> None:
    made = result(make_log(count=COUNT, seconds=SECONDS, service_ms=noise(seed)))
    assert {drift.name for drift in made.drifts} == {"get response P50", "get response P99", "rate"}
    assert news(made) == set()
    assert list(told(made)) == []


def test_a_latency_that_creeps_up_is_found_with_its_slope(make_log: MakeLog) -> None:
    made = result(make_log(count=COUNT, seconds=SECONDS, service_ms=10 + 10 * TIME + noise() / 10))
    assert {"get response P50", "get response P99"} <= news(made)
    median = next(drift for drift in made.drifts if drift.name == "get response P50")
    assert median.low < 5 < median.high or median.per_minute == pytest.approx(5, rel=0.05)
    assert median.start == pytest.approx(10.8, rel=0.05)


def test_a_stall_is_no_drift(make_log: MakeLog) -> None:
    stalled = np.where((TIME > 0.9) & (TIME < 0.95), 2000.0, 5.0) + noise() / 10
    assert news(result(make_log(count=COUNT, seconds=SECONDS, service_ms=stalled))) == set()


def test_the_services_growth_is_projected_and_the_generators_is_told_apart(make_log: MakeLog) -> None:
    series = [memory("service", "resident memory", 6.0), memory("generator", "memory", 4.0)]
    made = result(make_log(count=COUNT, seconds=SECONDS, service_ms=noise()), series=series)
    assert news(made) == {"service memory", "generator memory"}
    service, generator = sorted(told(made), reverse=True)
    assert "MiB an hour" in service
    assert "not the service's" not in service
    assert "membench's own growth" in generator


def test_memory_that_stands_still_is_measured_and_no_news(make_log: MakeLog) -> None:
    made = result(make_log(count=COUNT, seconds=SECONDS, service_ms=noise()), series=[memory("generator", "memory", 0)])
    assert "generator memory" in {drift.name for drift in made.drifts}
    assert news(made) == set()


def test_drift_is_said_and_changes_no_verdict(make_log: MakeLog) -> None:
    made = result(make_log(count=COUNT, seconds=SECONDS), series=[memory("generator", "memory", 9.0)])
    record = RunRecord("x", "", Provenance("", [], "", False, {}, "", {}), 1, scenarios=[made])
    judge(record, [])
    assert record.verdict == "PASS"
    assert "generator memory" in record.reasons[0]


@pytest.mark.parametrize(
    ("seconds", "arrivals"), [(59.0, OpenArrivals(rate=20)), (SECONDS, OpenArrivals(rate=20, process="ramp"))]
)
def test_short_phases_and_planned_changes_have_no_drift(
    make_log: MakeLog, seconds: float, arrivals: OpenArrivals
) -> None:
    log = make_log(count=COUNT, seconds=SECONDS, service_ms=5 + 50 * TIME)
    assert result(log, seconds=seconds, arrivals=arrivals).drifts == []


def test_windows_of_unequal_seconds_have_the_same_rate(make_log: MakeLog) -> None:
    made = result(make_log(count=20 * 100, seconds=100, service_ms=1.0), seconds=100.0)
    rate = next(drift for drift in made.drifts if drift.name == "rate")
    assert (rate.low, rate.high) == pytest.approx((0, 0), abs=0.5)
    assert rate.start == pytest.approx(20, abs=0.1)

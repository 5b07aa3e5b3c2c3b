"""The worst second of made-up results, and what is said to coincide with it."""

from collections.abc import Callable

import numpy as np

from harness.core.readings import Event, Group, Sample, Series, Telemetry
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.scenario import FLOOR, OpenArrivals, Operation, Phases, Scenario
from harness.judge.coincidence import worst_second

MakeLog = Callable[..., OperationLog]


def stalled(at: int, ms: float) -> np.ndarray:
    """2000 requests in ten seconds of 1 ms each, the first due in second `at` of `ms`."""
    service = np.ones(2000)
    service[at * 200] = ms
    return service


def result(*logs: OperationLog, telemetry: Telemetry | None = None) -> ScenarioResult:
    scenario = Scenario(
        name="made_up",
        title="Made up",
        description="",
        arrivals=OpenArrivals(rate=200, process="uniform"),
        operations=[Operation("get", "get")],
        phases=Phases(warmup=0, measure=10),
    )
    return ScenarioResult(
        scenario=scenario,
        started_at="",
        seconds=10,
        status="complete",
        seed=1,
        tapes={},
        operations=list(logs),
        telemetry=telemetry or Telemetry(),
    )


def series(name: str, unit: str, usual: float, then: float, group: Group = "host") -> Series:
    return Series(group, name, unit, [Sample(s + 0.9, then if s == 4 else usual + 0.01 * s) for s in range(10)])


def test_nothing_measured_has_no_worst_second(make_log: MakeLog) -> None:
    assert worst_second(result()) is None
    assert worst_second(result(make_log(FLOOR), make_log("get", count=10, errors=10))) is None


def test_a_worst_second_like_the_others_needs_no_explanation(make_log: MakeLog) -> None:
    telemetry = Telemetry(events=[Event("postgres", 0, 10, "it waited", "lock")])
    worst = worst_second(result(make_log(service_ms=stalled(4, 1.5)), telemetry=telemetry))
    assert worst is not None
    assert worst.second == 4
    assert worst.coincided == []


def test_a_lock_comes_first_and_others_that_overlap_follow(make_log: MakeLog) -> None:
    events = [
        Event("postgres", 1.0, 1.5, "long before", "lock"),
        Event("postgres", 3.9, 4.0, "a checkpoint ran for 4.0 s", "checkpoint"),
        Event("postgres", 4.0, 1.0, "UPDATE waited 1.0 s for a lock held by psql", "lock"),
        Event("postgres", 7.5, 1.0, "long after", "lock"),
    ]
    worst = worst_second(result(make_log(service_ms=stalled(4, 1000)), telemetry=Telemetry(events=events)))
    assert worst is not None
    assert (worst.second, worst.operation) == (4, "get")
    assert worst.usual_us < 1100
    assert worst.coincided == [
        "a lock: UPDATE waited 1.0 s for a lock held by psql",
        "a checkpoint ran for 4.0 s",
        "the time was spent before the service's handler or on the way: its own clock says 0.5 ms at most",
    ]


def test_a_generator_that_lagged_takes_the_blame(make_log: MakeLog) -> None:
    worst = worst_second(result(make_log(lag_ms=stalled(4, 500) - 1)))
    assert worst is not None
    assert worst.coincided == [
        "the generator, not the server: it sent a request 499 ms late, and none took longer than 1.0 ms from then on"
    ]


def test_a_floor_that_stalled_as_well_means_host_or_process(make_log: MakeLog) -> None:
    get = make_log(service_ms=stalled(4, 500), server_ms=None)
    both = worst_second(result(get, make_log(FLOOR, service_ms=stalled(4, 480))))
    alone = worst_second(result(get, make_log(FLOOR)))
    assert both is not None
    assert "the no-op endpoint stalled as well (480 ms)" in both.coincided[0]
    assert alone is not None
    assert "the no-op endpoint did not stall" in alone.coincided[0]


def test_series_far_from_their_own_median_are_news_and_small_ones_are_not(make_log: MakeLog) -> None:
    telemetry = Telemetry(
        series=[
            series("requests waiting for a connection", "", 0, 40, "service"),
            series("blocks read", "1/s", 10, 900, "postgres"),
            series("core 0", "%", 0.1, 0.3),
            series("I/O pressure", "%", 1, 80),
            series("CPU of the generator", "%", 1, 80, "generator"),
            series("commits", "1/s", 100, 0, "postgres"),
        ]
    )
    worst = worst_second(result(make_log(service_ms=stalled(4, 500), server_ms=None), telemetry=telemetry))
    assert worst is not None
    assert worst.coincided == [
        "I/O pressure (host): 80%, usually 1.055%",
        "blocks read (postgres): 900 1/s, usually 10.05 1/s",
        "requests waiting for a connection (service): 40, usually 0.055",
    ]

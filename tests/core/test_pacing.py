"""The open loop in virtual time: the table of a frozen server, and whose fault a delay is."""

import heapq
import itertools

import pytest

from harness.core.clock import VirtualClock
from harness.core.pacing import OpenLoop
from harness.core.recorder import OperationLog, OperationRecorder
from harness.core.schedule import uniform

S, MS = 1_000_000_000, 1_000_000
BASE = 2 * MS
FREEZE_AT = 5 * S
QUANTILES = (50, 95, 99, 99.9)


class FrozenServer:
    """Answers after BASE, but to nothing between the start and the end of its freeze; drains at once after it."""

    def __init__(self, freeze: int, start: int = FREEZE_AT) -> None:
        self.start, self.end = start, start + freeze

    def answered(self, sent: int) -> int:
        return (self.end if self.start <= sent < self.end else sent) + BASE


def open_run(
    rate: float, seconds: float, freeze: float, *, clock: VirtualClock | None = None, cap: int = 10**9
) -> OperationLog:
    server, clock = FrozenServer(round(freeze * S)), clock or VirtualClock()
    recorder = OperationRecorder("noop", (0, round(seconds * S)))
    pending: list[tuple[int, int, int]] = []

    def settle() -> int:
        while pending and pending[0][0] <= clock.now():
            ended, due, sent = heapq.heappop(pending)
            recorder.record(due, sent, ended)
        return len(pending)

    def send(operation: int, request: None, due: int) -> None:
        recorder.send(due)
        heapq.heappush(pending, (server.answered(clock.now()), due, clock.now()))

    loop = OpenLoop(
        clock,
        [recorder],
        prepare=lambda operation: None,
        send=send,
        in_flight=settle,
        max_in_flight=cap,
        deadline=lambda: round(seconds * S),
    )
    loop.run(zip(uniform(rate, seconds).tolist(), itertools.repeat(0), strict=False), 0)
    clock.time = 10**15
    settle()
    return recorder.log()


def expected(quantile: float, seconds: float, freeze: float) -> float:
    """Milliseconds: the longest waits fall off linearly from the whole freeze, over the share of requests caught."""
    base = BASE / MS
    return max(base, (freeze - (1 - quantile / 100) * seconds) * 1e3 + base)


@pytest.mark.parametrize(
    ("rate", "seconds", "freeze"), [(200, 20, 2), (200, 20, 0.5), (1000, 10, 1), (50, 60, 3), (2000, 30, 1.4)]
)
def test_a_server_that_freezes(rate: float, seconds: float, freeze: float) -> None:
    response = open_run(rate, seconds, freeze).histogram("response")
    for quantile in QUANTILES:
        found = response.percentile(quantile)
        assert found is not None
        # One request's distance in time is as exact as the formula can be; the histogram adds a thousandth.
        assert found / 1e3 == pytest.approx(expected(quantile, seconds, freeze), rel=0.002, abs=1e3 / rate + 0.1)


def test_the_published_table() -> None:
    response = open_run(200, 20, 2).histogram("response")
    assert [round((response.percentile(q) or 0) / 1e3) for q in QUANTILES] == pytest.approx(
        [2, 1002, 1802, 1982], abs=6
    )


def test_a_closed_loop_hides_the_freeze_below_its_largest_percentiles() -> None:
    """What Locust's constant_pacing sees: users wait for their answers, and pacing forgives what it missed."""
    users, interval, seconds, server = 10, 10 / 200 * S, 20 * S, FrozenServer(2 * S)
    recorder = OperationRecorder("noop", (0, seconds))
    for user in range(users):
        begin = round(user * interval / users)
        while begin < seconds:
            ended = server.answered(begin)
            recorder.send(begin)
            recorder.record(begin, begin, ended)
            begin = max(begin + round(interval), ended)
    response = recorder.log().histogram("response")
    assert [round((response.percentile(q) or 0) / 1e3) for q in QUANTILES[:3]] == [2, 2, 2]
    assert (response.percentile(99.9) or 0) / 1e3 == pytest.approx(1982, abs=30)


def test_no_freeze_response_is_service() -> None:
    log = open_run(200, 20, 0)
    for quantile in QUANTILES:
        assert log.histogram("response").percentile(quantile) == log.histogram("service").percentile(quantile)
    assert log.histogram("lag").max == 0


def test_a_generator_that_freezes_is_not_blamed_on_the_server() -> None:
    clock = VirtualClock()
    slept = [False]

    class Freezing(VirtualClock):
        def wait_until(self, deadline: int) -> None:
            super().wait_until(deadline)
            if self.time >= FREEZE_AT and not slept[0]:
                slept[0] = True
                self.time += 2 * S

    clock = Freezing()
    log = open_run(200, 20, 0, clock=clock)
    assert (log.histogram("lag").percentile(99) or 0) / 1e3 == pytest.approx(1800, rel=0.01)
    assert (log.histogram("service").max) / 1e3 == pytest.approx(2, rel=0.01)
    assert (log.histogram("response").percentile(99) or 0) / 1e3 == pytest.approx(1802, rel=0.01)


def test_over_the_cap_requests_are_skipped_and_counted() -> None:
    tally = open_run(200, 20, 2, cap=100).tally
    assert tally.skipped == pytest.approx(300, abs=2)
    assert tally.planned == 4000 == tally.sent + tally.skipped


def test_falling_behind_sends_late_and_never_drops() -> None:
    log = open_run(200, 20, 0, clock=VirtualClock(oversleep=50 * MS))
    assert log.tally.sent == 4000
    assert log.histogram("lag").max >= 45_000


def test_an_interrupt_moves_the_deadline() -> None:
    clock, recorder, limit = VirtualClock(), OperationRecorder("noop", (0, 20 * S)), [20 * S]

    def send(operation: int, request: None, due: int) -> None:
        recorder.send(due)
        if due >= 4 * S:
            limit[0] = due + 1

    loop = OpenLoop(
        clock,
        [recorder],
        prepare=lambda operation: None,
        send=send,
        in_flight=lambda: 0,
        max_in_flight=9,
        deadline=lambda: limit[0],
    )
    loop.run(zip(uniform(200, 20).tolist(), itertools.repeat(0), strict=False), 0)
    assert recorder.sent == recorder.planned == 801


def test_a_deadline_that_comes_nearer_ends_a_long_wait() -> None:
    clock = VirtualClock()
    deadline = 10 * S

    def nearer() -> int:
        return deadline if clock.time < S else S

    recorder = OperationRecorder("get", (0, 10 * S))
    OpenLoop(
        clock,
        [recorder],
        prepare=lambda operation: None,
        send=lambda operation, request, due: recorder.send(due),
        in_flight=lambda: 0,
        max_in_flight=1,
        deadline=nearer,
    ).run([(9 * S, 0)], 0)
    assert recorder.planned == 0
    assert clock.time < 1.1 * S

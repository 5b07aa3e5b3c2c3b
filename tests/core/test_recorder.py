"""The recorder: clocks, phases, counts, seconds, merging."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.recorder import NO_SERVER_TIME, OperationRecorder, merge_logs

S, MS = 1_000_000_000, 1_000_000
MEASURE = (10 * S, 20 * S)


def finish(
    recorder: OperationRecorder,
    due: int,
    *,
    lag: int = 0,
    took: int = MS,
    server: float = NO_SERVER_TIME,
    error: str | None = None,
) -> None:
    recorder.plan(due)
    recorder.send(due)
    recorder.record(due, due + lag, due + lag + took, server, error)


def test_the_four_clocks() -> None:
    recorder = OperationRecorder("get", MEASURE)
    finish(recorder, 11 * S, lag=3 * MS, took=7 * MS, server=4000.0)
    log = recorder.log()
    assert log.histogram("response").max == pytest.approx(10_000, rel=0.001)
    assert log.histogram("service").max == pytest.approx(7_000, rel=0.001)
    assert log.histogram("lag").max == pytest.approx(3_000, rel=0.001)
    assert log.histogram("server").max == pytest.approx(4_000, rel=0.001)


def test_a_request_belongs_to_the_phase_that_it_was_due_in() -> None:
    recorder = OperationRecorder("get", MEASURE)
    finish(recorder, 10 * S - 1, took=5 * S)
    finish(recorder, 10 * S)
    finish(recorder, 20 * S - 1, took=5 * S)
    finish(recorder, 20 * S)
    log = recorder.log()
    assert log.tally.ok == 2
    assert log.histogram("response").count == 2


def test_latency_is_bucketed_by_intended_start_and_throughput_by_completion() -> None:
    recorder = OperationRecorder("get", MEASURE)
    finish(recorder, 11 * S, took=3 * S)
    seconds = {interval.second: interval for interval in recorder.log().intervals}
    assert "response" in seconds[1].histograms
    assert seconds[1].completed == 0
    assert seconds[4].completed == 1


def test_sent_is_recorded_plus_censored() -> None:
    recorder = OperationRecorder("get", MEASURE)
    finish(recorder, 11 * S)
    finish(recorder, 12 * S, error="HTTP 500")
    recorder.plan(13 * S)
    recorder.send(13 * S)
    recorder.plan(14 * S)
    recorder.skip(14 * S, 14 * S)
    recorder.skip(20 * S, 20 * S)
    tally = recorder.log().tally
    assert (tally.planned, tally.sent, tally.ok, tally.error, tally.censored, tally.skipped) == (4, 3, 1, 1, 1, 1)


def test_failures_are_counted_by_kind_and_stay_out_of_the_latencies() -> None:
    recorder = OperationRecorder("get", MEASURE)
    for _ in range(3):
        finish(recorder, 11 * S, took=1, error="HTTP 503")
    finish(recorder, 11 * S, took=MS)
    log = recorder.log()
    assert log.errors == {"HTTP 503": 3}
    assert log.histogram("response").count == 1
    assert sum(interval.failed for interval in log.intervals) == 3


def test_requests_without_a_server_clock_are_counted() -> None:
    recorder = OperationRecorder("get", MEASURE)
    finish(recorder, 11 * S)
    finish(recorder, 11 * S, server=0.0)
    log = recorder.log()
    assert log.tally.without_server_clock == 1
    assert log.histogram("server").count == 1


def test_a_clock_that_jumped_is_counted() -> None:
    recorder = OperationRecorder("get", MEASURE)
    recorder.plan(11 * S)
    recorder.send(11 * S)
    recorder.record(11 * S, 11 * S, 11 * S - 5 * MS)
    assert recorder.log().tally.out_of_range == 2


@given(
    st.lists(
        st.tuples(
            st.integers(8 * S, 22 * S),
            st.integers(0, S),
            st.integers(-MS, 4 * S),
            st.floats(0, 1e7) | st.just(NO_SERVER_TIME),
            st.sampled_from([None, "HTTP 500"]),
        ),
        max_size=40,
    ),
    st.integers(0, 41),
)
def test_the_room_beforehand_changes_nothing(
    requests: list[tuple[int, int, int, float, str | None]], room: int
) -> None:
    recorders = [OperationRecorder("get", MEASURE, room=size) for size in (room, 0)]
    for due, lag, took, server, error in requests:
        for recorder in recorders:
            finish(recorder, due, lag=lag, took=took, server=server, error=error)
    roomy, growing = recorders
    assert len(roomy) == len(requests)
    assert roomy.log() == growing.log()
    assert roomy.responses_since(1) == growing.responses_since(1)


def test_n_workers_merged_equal_one_recorder_of_everything() -> None:
    whole = OperationRecorder("get", MEASURE)
    parts = [OperationRecorder("get", MEASURE) for _ in range(3)]
    for number in range(900):
        due = 9 * S + number * 12 * MS
        for recorder in (whole, parts[number % 3]):
            finish(recorder, due, lag=number, took=number * 1000, error="HTTP 500" if number % 50 == 0 else None)
    together, merged = whole.log(), merge_logs([part.log() for part in parts])
    assert merged.tally == together.tally
    assert merged.errors == together.errors
    for clock in ("response", "service", "lag"):
        for percent in (50, 95, 99, 99.9):
            assert merged.histogram(clock).percentile(percent) == together.histogram(clock).percentile(percent)
    assert [i.completed for i in merged.intervals] == [i.completed for i in together.intervals]

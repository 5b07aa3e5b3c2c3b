"""From load reports to results."""

import pytest

from harness.core.histogram import Histogram
from harness.core.recorder import Interval, OperationLog, Tally
from harness.load.job import LoadReport
from harness.load.result import in_turns


def report(latencies: list[int], problem: str = "", clock_shift: float = 0.0) -> LoadReport:
    histogram = Histogram()
    for latency in latencies:
        histogram.record(latency)
    count = len(latencies)
    log = OperationLog(
        "search",
        Tally(planned=count, sent=count, ok=count),
        {},
        [Interval(0, count, 0, {"response": histogram.encode()})],
    )
    return LoadReport([log], "", 1.5, False, problem, 0.2, 0.1, 3, 80.0, clock_shift=clock_shift)


def test_turns_are_one_report_whose_histograms_are_merged_and_lengths_added() -> None:
    whole = in_turns([report([100, 200]), report([300], problem="the tape ended", clock_shift=-0.2)])
    assert whole.seconds == 3
    assert whole.problem == "the tape ended"
    assert whole.clock_shift == -0.2
    assert (whole.max_in_flight, whole.cpu, whole.cpu_mean) == (3, 0.2, pytest.approx(0.1))
    (log,) = whole.operations
    assert log.tally.ok == 3
    merged = Histogram.decode(log.intervals[0].histograms["response"])
    assert merged.count == 3
    assert merged.percentile(50) == pytest.approx(200, rel=0.01)

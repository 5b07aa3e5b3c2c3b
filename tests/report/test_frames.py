import numpy as np
import pytest

from harness.core.histogram import PERCENTS, merged
from harness.report.frames import operations_frame, seconds_frame, targets_frame, total_frame


def test_every_second_has_its_counts_and_percentiles(healthy):
    result = healthy.scenario("mixed")
    frame = seconds_frame(result)
    assert list(frame.index.names) == ["operation", "second"]
    tally = result.operation("get").tally
    measured = frame.loc["get"].query("0 <= second < 20")
    assert measured["response_count"].sum() == tally.ok
    assert (measured["service_p50"] <= measured["response_p50"]).all()


def test_operations_together_are_merged_not_averaged(healthy):
    result = healthy.scenario("mixed")
    frame = total_frame(result, ["get", "search"], ["response"])
    both = merged(result.histogram(name, "response") for name in ("get", "search"))
    measured = frame.query("0 <= second < 20")
    assert measured["response_count"].sum() == both.count
    assert measured["response_max"].max() == both.max


def test_a_second_without_answers_is_there_and_empty(failing):
    frame = total_frame(failing.scenario("warm_query"), ["search"], ["response"])
    assert frame.loc[8, "completed"] == 0
    assert frame.loc[8, "response_p50"] > 1_000_000
    assert frame.index.is_monotonic_increasing
    assert (np.diff(frame.index) == 1).all()


def test_operations_and_targets_as_frames(healthy):
    frame = operations_frame(healthy)
    expected = healthy.scenario("warm_query").histogram("search", "response").percentile(99)
    assert frame.loc[("warm_query", "search", "response"), "p99"] == expected
    assert [f"p{percent:g}" for percent in PERCENTS] == [c for c in frame.columns if c.startswith("p")]
    assert targets_frame(healthy).loc["error_rate", "value"] == 0


def test_frames_of_nothing_are_empty(empty, hopeless):
    assert operations_frame(empty).empty
    assert targets_frame(empty).empty
    assert seconds_frame(hopeless.scenarios[0]).loc["search", "response_p50"].isna().all()


def test_unanswered_operations_have_no_rows(hopeless):
    frame = seconds_frame(hopeless.scenarios[0])
    with pytest.raises(KeyError):
        frame.loc["idle"]

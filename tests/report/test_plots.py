import msgspec
import pytest

from harness.core.readings import Sample, Series, Telemetry
from harness.core.verdict import Verdict
from harness.report.canvas import short, spread
from harness.report.glance import badness
from harness.report.panels import panels
from harness.report.percentiles import percentile_plot
from harness.report.plots import all_plots, telemetry_plot
from harness.report.timeline import timeline_plot

from .runs import target


def test_each_scenario_has_its_plots_and_telemetry_only_where_it_was_read(healthy):
    names = {
        f"{name}-{kind}" for name in ("working_access", "warm_query", "mixed") for kind in ("percentiles", "timeline")
    }
    assert set(all_plots(healthy)) == {"targets", "mixed-telemetry", *names}


def test_nothing_to_draw_says_so(hopeless, healthy):
    assert "no request was answered" in percentile_plot(hopeless, hopeless.scenarios[0])
    assert "no request was answered" in timeline_plot(hopeless.scenarios[0])
    assert "nothing was read beside it" in telemetry_plot(healthy.scenario("warm_query"))


def test_thresholds_are_labelled_with_the_clock_that_is_judged(healthy, failing):
    assert "target ≤ 1 ms (server clock)" in percentile_plot(healthy, healthy.scenario("working_access"))
    assert "critical ≤ 500 ms" in percentile_plot(failing, failing.scenario("warm_query"))


def test_a_threshold_far_off_is_named_instead_of_drawn(healthy):
    result = healthy.scenario("warm_query")
    far = target("cold_storage_retrieval", Verdict.PASS, 0.03, scenario="warm_query")
    changed = msgspec.structs.replace(healthy, targets=[far])
    assert "Out of sight: target ≤ 20 s, critical ≤ 60 s." in percentile_plot(changed, result)


def test_skips_and_a_cut_are_said_on_the_timeline(invalid, interrupted):
    assert "12 requests were skipped." in timeline_plot(invalid.scenarios[0])
    assert "Cut short at 4.2 s." in timeline_plot(interrupted.scenarios[0])


@pytest.mark.parametrize(
    ("name", "value", "ratio"),
    [
        ("warm_storage_query", 200, 2.0),
        ("memory_creation_rate", 500, 2.0),
        ("memory_creation_rate", 2000, 0.5),
        ("error_rate", 0.0, 0.0),
        ("memory_creation_rate", 0.0, float("inf")),
    ],
)
def test_worse_is_to_the_right_whichever_way_a_target_points(name, value, ratio):
    assert badness(target(name, Verdict.PASS, value), value) == ratio


def test_ticks_keep_their_zeros():
    assert [short(t) for t in (1, 50, 500, 1_000, 20_000, 200_000, 1e6)] == [
        "1 µs", "50 µs", "500 µs", "1 ms", "20 ms", "200 ms", "1 s",
    ]  # fmt: skip


def test_labels_are_moved_apart_and_keep_their_order():
    places = spread([0.5, 0.51, 0.1], 0.1)
    assert places[1] - places[0] == pytest.approx(0.1)
    assert places[2] < places[0]


@pytest.mark.parametrize(
    ("group", "name", "unit", "title"),
    [
        ("postgres", "blocks found in shared buffers", "%", "PostgreSQL: pages found in shared buffers, %"),
        ("postgres", "blocks read", "1/s", "PostgreSQL: other, per second"),
        ("postgres", "backends waiting for a lock", "", "PostgreSQL: backends"),
        ("service", "memories not yet indexed", "", "Service: queues"),
        ("host", "core 0", "%", "Host: CPU, %"),
    ],
)
def test_a_series_stands_beside_what_it_is_compared_with(healthy, group, name, unit, title):
    read = Telemetry(series=[Series(group, name, unit, [Sample(0.0, 1.0)])])
    (panel,) = panels(msgspec.structs.replace(healthy.scenario("warm_query"), telemetry=read))
    assert panel.title == title

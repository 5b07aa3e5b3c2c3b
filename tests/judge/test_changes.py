"""Change points: found where there are some, about as often as promised where there are none."""

import numpy as np
import pytest
from scipy.signal import lfilter

from harness.core.history import Entry, Point
from harness.judge.changes import ALPHA, LEAST, change_points
from harness.judge.courses import courses

NOISE = 0.05
"""Of the log of a ratio."""


def entry(number, ratio, *, base="b" * 40, conditions="c"):
    return Entry(
        gate=f"gate-{number}",
        created_at=f"2026-05-{number + 1:02d}T09:00:00Z",
        head=f"{number:040x}",
        base=base,
        machine="Example 2.6 GHz, 2 cores",
        conditions=conditions,
        metrics={"search P99": Point(ratio, ratio / 1.05, ratio * 1.05, 12)},
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is(seed):
    values = np.random.default_rng(seed).normal(0, NOISE, 30)
    values[18:] += 4 * NOISE
    found = change_points(values)
    assert any(abs(one.at - 18) <= 1 for one in found)
    assert all(one.p <= ALPHA for one in found)


def test_two_steps_and_one_that_is_undone():
    rng = np.random.default_rng(7)
    up_and_down = rng.normal(0, NOISE, 36)
    up_and_down[12:24] += 6 * NOISE
    found = [one.at for one in change_points(up_and_down)]
    assert len(found) == 2
    assert found == pytest.approx([12, 24], abs=1)


def test_of_series_without_a_change_about_one_in_twenty_shows_one():
    rng = np.random.default_rng(3)
    shown = sum(bool(change_points(rng.normal(0, NOISE, 16))) for _ in range(120))
    assert shown <= 14, "beyond the 99.5% bound of 120 tests at 5%"


def test_where_each_value_resembles_the_one_before_it_cannot_be_trusted():
    """The documentation warns of it: whoever makes it better may take the warning away."""
    rng = np.random.default_rng(4)
    shown = sum(bool(change_points(lfilter([1], [1, -0.5], rng.normal(0, NOISE, 80))[50:])) for _ in range(40))
    assert shown >= 12


def test_the_same_series_has_the_same_changes_and_its_scale_does_not_matter():
    values = np.random.default_rng(5).normal(0, NOISE, 24)
    values[10:] += 0.3
    assert change_points(values) == change_points(values)
    assert [one.at for one in change_points(values * 100 + 7)] == [one.at for one in change_points(values)]


@pytest.mark.parametrize("values", [[], [1.0], [0.0] * (2 * LEAST - 1), [0.0] * 20])
def test_nothing_is_found_in_too_few_values_or_in_equal_ones(values):
    assert change_points(values) == []


def test_a_change_is_told_by_its_levels():
    ratios = [1.0, 1.01, 0.99, 1.0, 1.02, 1.2, 1.21, 1.19, 1.2, 1.22]
    (course,) = courses([entry(number, ratio) for number, ratio in enumerate(ratios)])
    (change,) = course.trends[0].changes
    assert change.index == 5
    assert change.before == pytest.approx(1.004, abs=1e-3)
    assert change.after == pytest.approx(1.204, abs=1e-3)


def test_references_and_machines_are_never_mixed():
    mixed = [entry(0, 1.0), entry(1, 1.5, base="d" * 40), entry(2, 0.5, conditions="other"), entry(3, 1.1)]
    found = courses(mixed)
    assert [[one.gate for one in course.entries] for course in found] == [["gate-1"], ["gate-2"], ["gate-0", "gate-3"]]


def test_a_metric_that_some_gates_lack_keeps_to_those_that_have_it():
    gates = [entry(number, 1.0) for number in range(3)]
    gates[1].metrics = {"get P50": Point(1.2, 1.1, 1.3, 12)}
    (course,) = courses(gates)
    assert {trend.metric: [one.gate for one in trend.entries] for trend in course.trends} == {
        "search P99": ["gate-0", "gate-2"],
        "get P50": ["gate-1"],
    }

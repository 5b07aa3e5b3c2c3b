"""What the figures must be: by the formula, against a simulated queue, and by counting."""

import math

import numpy as np
import pytest

from harness.selftest.cases import CYCLE
from harness.selftest.expected import Range, cycle_percentile, frozen, frozen_range


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (95, 1002), (99, 1802), (99.9, 1982)])
def test_the_table_of_one_freeze(percent: float, value: float) -> None:
    assert frozen(percent, window=20, freeze=2, base=2) == pytest.approx(value)


@pytest.mark.parametrize("drain", [1000.0, 4000.0])
@pytest.mark.parametrize("percent", [95, 99, 99.9])
def test_a_backlog_served_in_turn(drain: float, percent: float) -> None:
    rate, window, freeze = 200, 20, 2.0
    due = np.arange(rate * window) / rate
    free, waits = 0.0, []
    for time in due:
        begun = max(time, free, 7.0 if 5.0 <= time < 7.0 else 0.0)
        free = begun + 1 / drain
        waits.append((begun - time) * 1e3)
    exact = sorted(waits)[math.ceil(len(waits) * percent / 100) - 1]
    formula = frozen(percent, window=window, freeze=freeze, base=0, rate=rate, drain=drain)
    assert formula == pytest.approx(exact, abs=1e3 / rate)


def test_a_freeze_that_began_between_two_requests_may_be_a_spacing_shorter() -> None:
    found = frozen_range(99, window=10, freeze=Range(1.0, 1.01), base=1, rate=100, drain=1000, spacing=0.01)
    assert found == pytest.approx((891, 921))


def test_the_tolerance_never_goes_below_nothing() -> None:
    assert Range(1, 100).widened(5) == pytest.approx((0, 108))
    assert 108.1 not in Range(1, 100).widened(5)


def test_each_percentile_of_the_cycle_lies_well_within_its_value() -> None:
    assert [cycle_percentile(CYCLE, percent) for percent in (50, 95, 99, 99.9)] == [5, 20, 50, 100]
    assert [cycle_percentile(CYCLE, percent) for percent in (94, 96, 98, 99.4)] == [20, 20, 50, 50]

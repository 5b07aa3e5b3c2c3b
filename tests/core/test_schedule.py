"""Arrival times: their number, bounds, spacing and seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.core import schedule

RATES = st.floats(0.5, 5000)
DURATIONS = st.floats(0.1, 20)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@given(RATES, DURATIONS, st.integers(0, 2**32))
def test_every_schedule_has_its_count_and_stays_within_its_duration(rate: float, duration: float, seed: int) -> None:
    for arrivals in (
        schedule.uniform(rate, duration),
        schedule.poisson(rate, duration, rng(seed)),
        schedule.ramp(0.0, 2 * rate, duration),
    ):
        assert len(arrivals) == round(rate * duration)
        assert (np.diff(arrivals) >= 0).all()
        if len(arrivals):
            assert arrivals[0] >= 0
            assert arrivals[-1] < duration * 1e9


def test_uniform_arrivals_are_equally_far_apart() -> None:
    assert schedule.uniform(4, 1).tolist() == [0, 250_000_000, 500_000_000, 750_000_000]


def test_poisson_gaps_are_exponential() -> None:
    gaps = np.diff(schedule.poisson(1000, 60, rng())) / 1e9
    assert stats.kstest(gaps, "expon", args=(0, 1 / 1000)).pvalue > 0.01
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.05)


def test_poisson_counts_per_second_vary_as_they_should() -> None:
    per_second = np.bincount(schedule.poisson(1000, 400, rng()) // 1_000_000_000)
    assert np.var(per_second) == pytest.approx(1000, rel=0.25)


def test_the_seed_decides() -> None:
    assert (schedule.poisson(100, 5, rng(7)) == schedule.poisson(100, 5, rng(7))).all()
    assert (schedule.poisson(100, 5, rng(7)) != schedule.poisson(100, 5, rng(8))).any()


def test_a_ramp_from_nothing_sends_a_quarter_in_its_first_half() -> None:
    arrivals = schedule.ramp(0, 200, 10)
    assert len(arrivals) == 1000
    assert (arrivals < 5e9).sum() == pytest.approx(250, abs=1)


def test_a_ramp_down_is_the_mirror_of_the_ramp_up() -> None:
    assert (schedule.ramp(200, 0, 10) < 5e9).sum() == pytest.approx(750, abs=1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_a_rate_that_is_no_rate_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="rate times duration"):
        schedule.uniform(bad, 1)

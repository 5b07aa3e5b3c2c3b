"""Intervals: how often they hold, what they leave out, and that they never say more than the sample carries."""

import numpy as np
import pytest

from harness.core.blocks import LEAST_SECONDS, SecondCounts, intervals
from harness.core.histogram import slots

RATE = 50


def latencies(rng: np.random.Generator, seconds: int, phi: float) -> np.ndarray:
    """Log-normal, microseconds, shape (seconds, RATE); each second's level follows from the one before it by `phi`."""
    shocks = rng.normal(0, 0.15, seconds)
    level = np.empty(seconds)
    level[0] = shocks[0] / np.sqrt(1 - phi**2)
    for second in range(1, seconds):
        level[second] = phi * level[second - 1] + shocks[second]
    return np.exp(rng.normal(8 + level[:, None] * (phi > 0), 0.4, (seconds, RATE)))


def counted(values: np.ndarray) -> SecondCounts:
    found = slots(np.rint(values).astype(np.int64))
    used = np.unique(found)
    counts = np.zeros((len(values), len(used)), dtype=np.int64)
    np.add.at(counts, (np.arange(len(values))[:, None], np.searchsorted(used, found)), 1)
    return SecondCounts(used, counts)


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.9), (0.5, 0.8)])
def test_most_intervals_hold_the_true_percentile(phi: float, least: float) -> None:
    """Of 95 in 100 that should; where slow seconds come in runs, a minute has seen too few of them for all."""
    rng = np.random.default_rng(4)
    truth = np.percentile(latencies(rng, 10_000, phi), (50, 99))
    held = np.zeros(2)
    trials = 50
    for _ in range(trials):
        found = intervals(counted(latencies(rng, 60, phi)), (50, 99))
        for index, ends in enumerate(found):
            assert ends is not None
            assert ends[1] is not None
            held[index] += ends[0] * 0.999 <= truth[index] <= ends[1] * 1.001
    assert (held / trials > least).all(), held / trials


def test_slow_seconds_in_a_row_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    values = latencies(rng, 60, 0.0)
    spell = values.copy()
    spell[20:26] *= 8
    scattered = rng.permutation(spell.ravel()).reshape(spell.shape)
    (in_a_row,), (apart,) = intervals(counted(spell), (95,)), intervals(counted(scattered), (95,))
    assert in_a_row
    assert apart
    assert in_a_row[0] < apart[0] < (apart[1] or 0) < (in_a_row[1] or 0)


def test_the_same_log_gives_the_same_ends_and_they_hold_the_figure() -> None:
    seconds = counted(latencies(np.random.default_rng(6), 30, 0.0))
    found = intervals(seconds, (50, 95, 99))
    assert found == intervals(seconds, (50, 95, 99))
    for percent, ends in zip((50, 95, 99), found, strict=True):
        value = seconds.total().percentile(percent)
        assert ends
        assert value
        assert ends[0] <= value <= (ends[1] or 0)


def test_a_sample_that_does_not_carry_the_percentile_has_no_interval() -> None:
    seconds = counted(latencies(np.random.default_rng(7), 19, 0.0))  # 950 requests
    assert intervals(seconds, (95, 99))[1] is None
    assert intervals(seconds, (95, 99))[0] is not None


def test_too_few_seconds_have_no_interval() -> None:
    values = latencies(np.random.default_rng(8), LEAST_SECONDS, 0.0)
    assert intervals(counted(values), (50,)) != [None]
    assert intervals(counted(values[1:]), (50,)) == [None]
    assert intervals(SecondCounts(np.zeros(0, dtype=np.intp), np.zeros((0, 0), dtype=np.int64)), (50,)) == [None]


def test_an_upper_end_among_requests_never_answered_is_unknown() -> None:
    seconds = counted(latencies(np.random.default_rng(9), 40, 0.0))  # 2,000 requests
    (few,), (many,), (more,) = (intervals(seconds, (99,), unknown_above=n) for n in (2, 18, 200))
    assert few
    assert few[1] is not None
    assert many
    assert many[1] is None
    assert more is None


def test_an_hour_is_folded_and_keeps_its_ranks() -> None:
    rng = np.random.default_rng(10)
    seconds = counted(latencies(rng, 1_201, 0.0))
    (ends,) = intervals(seconds, (50,))
    value = seconds.total().percentile(50)
    assert ends
    assert value
    assert ends[0] <= value <= (ends[1] or 0)
    assert (ends[1] or 0) < ends[0] * 1.02

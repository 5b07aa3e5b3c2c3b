"""Histograms: buckets as HdrHistogram's own, exact ranks, nothing lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from harness.core.histogram import HIGHEST, Histogram, enough_for, lower_bounds, merged, new_hdr, slots, upper_bounds

VALUES = st.lists(st.integers(0, HIGHEST), min_size=1, max_size=200)


def of(values: object) -> Histogram:
    histogram = Histogram()
    histogram.record(values)  # type: ignore[arg-type]
    return histogram


@given(VALUES)
def test_vectorised_buckets_are_hdrhistograms_own(values: list[int]) -> None:
    hdr = new_hdr()
    array = np.array(values)
    assert slots(array).tolist() == [hdr._counts_index_for(value) for value in values]
    assert upper_bounds(slots(array)).tolist() == [hdr.get_highest_equivalent_value(value) for value in values]
    assert lower_bounds(slots(array)).tolist() == [hdr.get_lowest_equivalent_value(value) for value in values]


@given(VALUES, st.floats(0.1, 100))
def test_a_percentile_is_the_nearest_rank_within_three_digits(values: list[int], percent: float) -> None:
    true = sorted(values)[max(math.ceil(round(len(values) * percent / 100, 9)), 1) - 1]
    found = of(values).percentile(percent)
    assert found is not None
    assert true <= found <= true * 1.001 + 1


def test_p99_of_149_values_is_the_148th_not_hidden_by_rounding() -> None:
    assert of(range(1, 150)).percentile(99) == 148
    assert new_hdr().get_target_count_at_percentile(99) == 1


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_n_histograms_merged_equal_one_of_all_samples(parts: list[list[int]]) -> None:
    together = of([value for part in parts for value in part])
    total = merged(of(part) for part in parts)
    assert total.encode() == together.encode()
    assert (total.max, total.min, total.count) == (together.max, together.min, together.count)


@given(VALUES)
def test_encoding_keeps_every_percentile(values: list[int]) -> None:
    before, after = of(values), Histogram.decode(of(values).encode())
    assert after.count == before.count
    for percent in (1, 50, 90, 99, 99.9):
        assert after.percentile(percent) == pytest.approx(before.percentile(percent), rel=0.001, abs=1)


def test_out_of_range_values_are_counted_not_dropped() -> None:
    histogram = of([-1, 5, HIGHEST + 1, HIGHEST * 10])
    assert (histogram.count, histogram.out_of_range) == (1, 3)
    other = of([-7])
    histogram.merge(other)
    assert histogram.out_of_range == 4


def test_values_known_only_to_be_larger_move_the_rank_and_can_hide_it() -> None:
    histogram = of(range(1, 101))
    assert histogram.percentile(50, unknown_above=100) == 100
    assert histogram.percentile(99, unknown_above=100) is None


def test_an_empty_histogram_has_no_percentile() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) is None
    assert (histogram.max, histogram.min, histogram.count) == (0, 0, 0)
    assert math.isnan(histogram.mean())
    assert Histogram.decode(histogram.encode()).count == 0


def test_fractions_of_microseconds_are_rounded() -> None:
    assert of([0.4, 0.6, 1.4]).percentiles([33, 66, 100]) == [0, 1, 1]


def test_the_curve_ends_at_the_maximum() -> None:
    percents, values = of([10, 20, 30, 5000]).curve()
    assert percents[-1] == 100
    assert values[-1] == 5000


def test_text_that_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="not an encoded HdrHistogram"):
        Histogram.decode("HISTnonsense")


@pytest.mark.parametrize(("percent", "needed"), [(50, 20), (95, 200), (99, 1000), (99.9, 10_000)])
def test_a_percentile_needs_ten_samples_beyond_it(percent: float, needed: int) -> None:
    assert enough_for(percent) == needed


def test_the_smooth_percentile_is_harrell_and_davis_of_the_logarithms() -> None:
    values = np.array([100, 120, 150, 160, 200, 240, 300, 420, 500, 1000])
    histogram = Histogram()
    histogram.record(values)
    weights = np.diff(beta.cdf(np.arange(11) / 10, 0.9 * 11, 0.1 * 11))
    assert histogram.smooth_percentile(90) == pytest.approx(np.exp(weights @ np.log(values)), rel=1e-3)
    assert Histogram().smooth_percentile(99) is None


def test_what_was_never_answered_pulls_the_smooth_percentile_up() -> None:
    histogram = Histogram()
    histogram.record(np.full(97, 1000))
    known = histogram.smooth_percentile(99)
    with_unknown = histogram.smooth_percentile(99, unknown_above=3, unknown=5e6)
    assert known == pytest.approx(1000, rel=1e-3)
    assert with_unknown is not None
    assert with_unknown > 3e6
    assert histogram.smooth_percentile(50, unknown_above=3, unknown=5e6) == pytest.approx(1000, rel=1e-3)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200), st.sampled_from([50.0, 95.0, 99.0]))
def test_the_smooth_percentile_lies_among_the_values(values: list[int], percent: float) -> None:
    histogram = Histogram()
    histogram.record(np.array(values))
    found = histogram.smooth_percentile(percent)
    assert found is not None
    assert min(values) * 0.998 <= found <= max(values) * 1.002

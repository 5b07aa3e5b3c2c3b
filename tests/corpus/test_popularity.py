from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from harness.corpus import Zipf


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.99, 1.4])
def test_frequencies_follow_the_law(exponent: int):
    zipf = Zipf(200, exponent, seed=4)
    drawn = np.bincount(zipf.sample(200_000, np.random.default_rng(1)), minlength=200)
    by_rank = np.arange(1, 201) ** -float(exponent)
    by_rank /= by_rank.sum()
    assert sorted(zipf.probabilities(), reverse=True) == pytest.approx(by_rank.tolist())
    assert chisquare(drawn, zipf.probabilities() * drawn.sum()).pvalue > 0.001


def test_popular_items_are_not_the_first_ones():
    top = np.argsort(Zipf(10_000, seed=4).probabilities())[::-1][:100]
    assert 3_000 < top.mean() < 7_000


def test_equal_seeds_have_the_same_favourites():
    one, other, another = Zipf(50, seed=4), Zipf(50, seed=4), Zipf(50, seed=5)
    assert one.probabilities().tolist() == other.probabilities().tolist()
    assert one.probabilities().tolist() != another.probabilities().tolist()
    assert one.sample(20, np.random.default_rng(1)).tolist() == other.sample(20, np.random.default_rng(1)).tolist()


def test_a_single_item_is_always_drawn():
    assert Zipf(1).sample(3, np.random.default_rng(0)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("n", "exponent"), [(0, 1.0), (5, -0.1), (5, float("nan")), (5, float("inf"))])
def test_values_out_of_range_are_refused(n: int, exponent: float):
    with pytest.raises(ValueError, match="Zipf"):
        Zipf(n, exponent)

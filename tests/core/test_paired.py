"""Signed ranks: exact against SciPy where SciPy is exact, and against all sign patterns where it is not."""

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control, permutation_test, rankdata, wilcoxon

from harness.core.paired import Walsh, detectable, estimate, holm, p_greater, upper_bound


def noise(pairs: int, *gates: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (*gates, pairs))


@pytest.mark.parametrize("pairs", [1, 2, 6, 12, 24, 30])
def test_p_is_scipys_exact_one_without_ties(pairs: int) -> None:
    for shift in (-0.05, 0.0, 0.05):
        d = noise(pairs) + shift
        expected = wilcoxon(d - 0.02, alternative="greater", method="exact").pvalue
        assert float(p_greater(d, 0.02)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_p_counts_all_sign_patterns_with_ties(seed: int) -> None:
    d = np.random.default_rng(seed).integers(-2, 6, 10).astype(float)
    d = d[d != 0]

    def statistic(x: np.ndarray, axis: int) -> np.ndarray:
        return np.where(x > 0, rankdata(np.abs(x), axis=axis), 0).sum(axis=axis)

    expected = permutation_test(
        (d,), statistic, permutation_type="samples", n_resamples=np.inf, alternative="greater", vectorized=True
    )
    assert float(p_greater(d)) == pytest.approx(expected.pvalue, rel=1e-12)


def test_what_is_missing_or_equal_does_not_count() -> None:
    d = np.array([0.3, -0.1, 0.2, 0.4, 0.25])
    padded = np.array([np.nan, 0.3, 0.0, -0.1, 0.2, np.nan, 0.4, 0.25])
    assert float(p_greater(padded)) == float(p_greater(d))
    assert Walsh(padded[~np.isnan(padded)]).pairs == 6
    assert estimate(padded[padded != 0]) == estimate(d)
    assert float(p_greater([])) == float(p_greater([np.nan])) == 1
    assert estimate([]) is estimate([np.nan]) is None


def test_rows_of_a_table_are_as_each_alone() -> None:
    table = noise(12, 3, 4)
    table[0, 1, :5] = np.nan
    table[1, 2, :] = np.nan
    than = np.array([0.0, 0.05, -0.1])
    p, centre, upper = p_greater(table, than[:, None]), Walsh(table).centre, Walsh(table).upper(0.95)
    for index in np.ndindex(3, 4):
        row = table[index][~np.isnan(table[index])]
        assert p[index] == float(p_greater(row, than[index[0]]))
        np.testing.assert_equal([centre[index], upper[index]], [Walsh(row).centre, Walsh(row).upper(0.95)])


def test_the_interval_holds_what_the_test_does_not_reject() -> None:
    d = noise(15)
    low, high = Walsh(d).interval(0.95)
    for inside, outside in ((low + 1e-9, low - 1e-9), (high - 1e-9, high + 1e-9)):
        for value, rejected in ((inside, False), (outside, True)):
            sided = min(float(p_greater(d, value)), float(p_greater(-d, -value)))
            assert (sided <= 0.025) is rejected
    upper = float(Walsh(d).upper(0.95))
    assert float(p_greater(-d, -upper - 1e-9)) <= 0.05 < float(p_greater(-d, -upper + 1e-9))


@pytest.mark.parametrize("pairs", [8, 12, 24])
def test_the_interval_covers_as_often_as_it_says(pairs: int) -> None:
    # Symmetric and heavy-tailed: what normal theory does not cover.
    rng = np.random.default_rng(7)
    d = 0.1 * rng.standard_t(2, (4000, pairs)) + 0.3
    walsh = Walsh(d)
    low, high = walsh.interval(0.95)
    assert 0.95 - 0.011 < ((low <= 0.3) & (high >= 0.3)).mean() < 0.975
    assert 0.95 - 0.011 < (walsh.upper(0.95) >= 0.3).mean() < 0.975
    assert (p_greater(d[:1000], 0.3) <= 0.05).mean() < 0.05 + 0.021


def test_the_estimate_is_not_moved_by_one_bad_pair() -> None:
    d = np.full(12, math.log(1.2)) + noise(12) / 100
    for bad in (50.0, math.inf, -math.inf):
        found = estimate([*d[:-1], bad])
        assert found is not None
        assert found.ratio == pytest.approx(1.2, rel=0.01)
    assert estimate([math.inf] * 12) == (math.inf, math.inf, math.inf)


def test_few_pairs_bound_nothing() -> None:
    assert upper_bound(noise(4), 0.95) is None
    assert upper_bound(noise(5), 0.95) == pytest.approx(math.exp(noise(5).max()))
    found = estimate(noise(5))
    assert found is not None
    assert (found.low, found.high) == (None, None)
    assert detectable(noise(5), 0.0, 0.05) is None
    assert detectable(noise(8), 0.0, 0.05 / 20) is None


def test_what_is_called_detectable_is_found_four_times_in_five() -> None:
    least, alpha = math.log(1.05), 0.05 / 8
    drawn = noise(24, 400)
    told = float(np.median([detectable(row, least, alpha) or math.nan for row in drawn]))
    found = (p_greater(drawn + math.log(told), least) < alpha).mean()
    assert 0.7 < found < 0.9


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    several = np.array([[0.01, 0.2], [0.04, 0.01]])
    np.testing.assert_allclose(holm(several), np.transpose([holm(column) for column in several.T]))
    # Never below what the weaker control of false discoveries asks for.
    p = np.random.default_rng(1).uniform(size=15) ** 3
    assert (holm(p) >= false_discovery_control(p) - 1e-12).all()

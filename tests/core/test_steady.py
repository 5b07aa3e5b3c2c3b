"""The end of a warm-up: MSER on series with and without a transient."""

import numpy as np
import pytest

from harness.core.steady import LEAST_BATCHES, steadiness


def noise(seed: int, count: int = 40) -> np.ndarray:
    return 7.0 + 0.1 * np.random.default_rng(seed).standard_normal(count)


def test_a_level_series_is_steady() -> None:
    found = [steadiness(noise(seed).tolist()).steady for seed in range(200)]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("kind", ["falling", "rising", "decaying"])
def test_a_series_that_still_moves_is_not(kind: str) -> None:
    x = np.linspace(0, 1, 40)
    trend = {"falling": -2 * x, "rising": 2 * x, "decaying": 3 * np.exp(-2 * x)}[kind]
    assert not any(steadiness((noise(seed) + trend).tolist()).steady for seed in range(50))


def test_once_the_transient_lies_in_the_first_half_it_is_steady_and_cut_there() -> None:
    series = noise(1)
    series[:12] += 1.5
    found = steadiness(series.tolist())
    assert found.steady
    assert found.truncation == 12
    assert not steadiness(series[:20].tolist()).steady


def test_too_few_batches_say_nothing() -> None:
    assert not steadiness([7.0] * (LEAST_BATCHES - 1)).steady
    assert steadiness([7.0] * LEAST_BATCHES).steady
    assert not steadiness([]).steady

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.corpus.permutation import Permutation


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**64))
def test_every_pair_comes_once(left: int, right: int, seed: int):
    first, second = Permutation(left, right, seed).pairs(np.arange(left * right))
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {(a, b) for a in range(left) for b in range(right)}


def test_neighbours_look_unrelated():
    first, second = Permutation(12_000, 3_072, 5).pairs(np.arange(50_000))
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert np.bincount(second, minlength=3_072).max() < 50


def test_a_position_outside_is_refused():
    with pytest.raises(IndexError, match=r"0\.\.11"):
        Permutation(3, 4, 0).pairs(np.array([12]))

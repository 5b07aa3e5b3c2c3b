"""Recall of one answer and of many: ties, what changed meanwhile, what does not exist, and the interval."""

import numpy as np
import pytest

from harness.core.recall import LEAST_QUERIES, SETTLED, Hit, Shares, compare, summarise

SENT = 1_000_000.0


def ranked(names: str, **touched: float) -> list[Hit]:
    """Results with falling scores, all of them old but for those that are named."""
    return [Hit(name, 1 - place / 100, touched.get(name, 0.0)) for place, name in enumerate(names)]


@pytest.mark.parametrize(
    ("answer", "exact", "found", "wanted"),
    [
        ("abc", "abcdef", 3, 3),
        ("cba", "abcdef", 3, 3),  # the order is not recall's
        ("abf", "abcdef", 2, 3),
        ("", "abcdef", 0, 3),
        ("ab", "ab", 2, 2),  # no more exist
        ("a", "ab", 1, 2),
        ("abx", "ab", 2, 2),  # x was deleted since, or never was
        ("aab", "abc", 2, 3),  # found twice is found once
    ],
)
def test_results_found_of_those_wanted(answer: str, exact: str, found: int, wanted: int) -> None:
    assert compare(ranked(answer), ranked(exact), 3, SENT) == Shares(found, wanted)


def test_where_nothing_is_to_be_found_nothing_is_said() -> None:
    assert compare([], [], 5, SENT) is None
    assert compare(ranked("ab"), [], 5, SENT) is None


def test_what_was_created_after_the_search_does_not_count_against_it() -> None:
    exact = ranked("nambc", n=SENT + 3, m=SENT + 9)
    assert compare(ranked("abc"), exact, 3, SENT) == Shares(3, 3)
    # Nor what came so shortly before that it may not have been searchable yet.
    assert compare(ranked("abc"), ranked("nabc", n=SENT - SETTLED / 2), 3, SENT) == Shares(3, 3)
    assert compare(ranked("abc"), ranked("nabc", n=SENT - 2 * SETTLED), 3, SENT) == Shares(2, 3)


def test_what_changed_after_the_search_counts_neither_way() -> None:
    # c was read since, and so ranks higher now: without it the answer had two places, and a and b were right.
    assert compare(ranked("abc"), ranked("cabd", c=SENT + 1), 3, SENT) == Shares(2, 2)
    assert compare(ranked("axc"), ranked("cabd", c=SENT + 1), 3, SENT) == Shares(1, 2)
    assert compare(ranked("c"), ranked("cab", c=SENT + 1), 1, SENT) is None


def test_an_equal_of_the_last_one_is_as_good() -> None:
    exact = [Hit("a", 0.9), Hit("b", 0.5), Hit("c", 0.5000001), Hit("d", 0.5), Hit("e", 0.49)]
    assert compare(ranked("ad"), exact, 2, SENT) == Shares(2, 2)
    assert compare(ranked("cd"), exact, 2, SENT) == Shares(2, 2)
    assert compare(ranked("ae"), exact, 2, SENT) == Shares(1, 2)
    assert compare(ranked("bcd"), exact, 2, SENT) == Shares(2, 2)  # more than was asked for does not help
    without = [Hit(hit.id) for hit in exact]
    assert compare(ranked("ad"), without, 2, SENT) == Shares(1, 2)


def test_a_few_queries_say_nothing() -> None:
    assert summarise([Shares(5, 5)] * (LEAST_QUERIES - 1), [5] * (LEAST_QUERIES - 1), 0, seed=1) is None


def test_the_interval_is_never_a_point() -> None:
    perfect = summarise([Shares(10, 10)] * LEAST_QUERIES, [10] * LEAST_QUERIES, 2, seed=1)
    assert perfect is not None
    assert (perfect.mean, perfect.high, perfect.k, perfect.queries, perfect.unanswered) == (1, 1, 10, LEAST_QUERIES, 2)
    assert 0.95 < perfect.low < 1
    hopeless = summarise([Shares(0, 10)] * LEAST_QUERIES, [10] * LEAST_QUERIES, 0, seed=1)
    assert hopeless is not None
    assert (hopeless.mean, hopeless.low) == (0, 0)
    assert 0 < hopeless.high < 0.05


def test_a_slightly_worse_sample_has_no_narrower_interval() -> None:
    perfect = summarise([Shares(10, 10)] * 60, [10] * 60, 0, seed=1)
    nearly = summarise([Shares(10, 10)] * 59 + [Shares(9, 10)], [10] * 60, 0, seed=1)
    assert perfect is not None
    assert nearly is not None
    assert nearly.high - nearly.low > perfect.high - perfect.low
    assert nearly.low < nearly.mean < nearly.high


def test_results_that_are_missed_together_widen_the_interval() -> None:
    # A tenth is missed both times: of each query one result, or of every tenth query all.
    spread = summarise([Shares(9, 10)] * 60, [10] * 60, 0, seed=1)
    together = summarise([Shares(10 * (n % 10 > 0), 10) for n in range(60)], [10] * 60, 0, seed=1)
    assert spread is not None
    assert together is not None
    assert spread.mean == pytest.approx(together.mean) == pytest.approx(0.9)
    assert together.high - together.low > 2 * (spread.high - spread.low)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        # Queries differ in how hard they are: 0.9 on average.
        hard = rng.beta(9, 1, size=60)
        found = summarise([Shares(int(n), 10) for n in rng.binomial(10, hard)], [10] * 60, 0, seed)
        assert found is not None
        held += found.low <= 0.9 <= found.high
    assert held >= 0.9 * 300

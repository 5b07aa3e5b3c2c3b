"""A gate's pairs, from the first to its verdict: when it stops, and what becomes of pairs that do not count."""

from collections.abc import Iterator, Sequence

import numpy as np

from harness.core.gate import GateRecord, GateVerdict, Pair
from harness.gate.session import judge
from tests.judge import gates
from tests.judge.gates import GET, RATE, SEARCH, pairs, record, rules

RULES = rules([GET, SEARCH, RATE], spare=0.25)
MOST = RULES.most
SLOWER = {SEARCH.name: 1.3}
CLOCKS = {"response": np.array([5000.0])}
DOUBT = "the hypervisor took 30% of the CPU"


def spoil(some: Sequence[Pair], numbers: Sequence[int]) -> None:
    for pair in some:
        if pair.number in numbers:
            pair.blocks.append(gates.block("head", CLOCKS, doubts=[DOUBT]))
            # What such a pair says must not matter.
            pair.values = {name: (base, base * 50) for name, (base, _) in pair.values.items()}


def judged(some: Sequence[Pair]) -> GateRecord:
    """Of pairs that are measured only as they are asked for."""
    measured = record([], RULES, sides=gates.sides())
    seen: list[int] = []

    def asked() -> Iterator[Pair]:
        for pair in some:
            assert len(seen) == pair.number - 1
            yield pair

    judge(measured, asked(), [], lambda: seen.append(len(measured.pairs)))
    assert seen == list(range(1, len(measured.pairs) + 1))
    return measured


def test_a_gate_that_may_pass_measures_no_further() -> None:
    passed = judged(pairs(MOST))
    assert (passed.verdict, len(passed.pairs)) == (GateVerdict.NO_REGRESSION, 12)


def test_spoilt_pairs_are_replaced_and_say_nothing() -> None:
    some = pairs(MOST)
    spoil(some, [1, 5, 12])
    passed = judged(some)
    assert (passed.verdict, len(passed.pairs), len(passed.counted)) == (GateVerdict.NO_REGRESSION, 15, 12)


def test_two_rounds_of_spoilt_pairs_leave_too_few_and_it_is_invalid() -> None:
    for worse in ({}, SLOWER):
        some = pairs(MOST, {GET.name: 1.06, **worse}, noises={RATE.name: 0.3})
        spoil(some, range(7, 19))
        invalid = judged(some)
        assert (len(invalid.pairs), len(invalid.counted)) == (MOST, MOST - 12)
        assert invalid.verdict == GateVerdict.INVALID
        assert f"too many pairs were in doubt: 12 of {MOST}" in invalid.reasons[0]
        assert DOUBT in invalid.reasons[0]


def test_a_regression_is_found_by_the_pairs_that_replace_a_spoilt_round() -> None:
    some = pairs(MOST, SLOWER)
    spoil(some, range(1, 7))
    found = judged(some)
    assert (found.verdict, len(found.pairs), len(found.counted)) == (GateVerdict.REGRESSION, MOST, 24)
    assert [one.metric.name for one in found.metrics if one.verdict == GateVerdict.REGRESSION] == [SEARCH.name]


def test_pairs_that_are_all_spoilt_measure_nothing() -> None:
    some = pairs(MOST)
    spoil(some, range(1, MOST + 1))
    invalid = judged(some)
    assert invalid.verdict == GateVerdict.INVALID
    assert "nothing was measured" in invalid.reasons[0]
    assert DOUBT in invalid.hints[0]


def test_errors_end_it_at_once() -> None:
    some = pairs(MOST)
    some[2].blocks.append(gates.block("head", CLOCKS, errors=1000))
    invalid = judged(some)
    assert (invalid.verdict, len(invalid.pairs)) == (GateVerdict.INVALID, 3)


def test_pairs_that_end_early_are_inconclusive() -> None:
    ended = judged(pairs(8, SLOWER))
    assert ended.verdict == GateVerdict.INCONCLUSIVE
    assert ended.reasons == ["it ended undecided: 8 of 24 pairs count"]

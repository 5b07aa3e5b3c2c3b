"""The verdicts of a gate: each rule, at each look, with each way out of believing a figure."""

from datetime import date

import msgspec
import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.gate import Compared, GateRecord, GateVerdict, MetricResult, Side
from harness.core.rules import Metric, Waiver
from harness.judge.gate import cut_short, decide
from harness.judge.metric import so_far
from harness.judge.sides import errors_of
from tests.judge import gates
from tests.judge.gates import GET, RATE, SEARCH, pairs, record, rules

TODAY = date(2026, 3, 1)
LAST = (24,)


def of(judged: GateRecord, name: str) -> MetricResult:
    return next(result for result in judged.metrics if result.metric.name == name)


def decided(judged: GateRecord, *waivers: Waiver) -> GateRecord:
    assert decide(judged, waivers, TODAY)
    return judged


def test_between_looks_nothing_is_decided_however_clear_it_is() -> None:
    for count in (1, 5, 11, 13, 23):
        judged = record(pairs(count, {SEARCH.name: 3.0}))
        assert not decide(judged, [], TODAY)
        assert (judged.look, judged.verdict) == (None, GateVerdict.INVALID)
        assert {result.verdict for result in judged.metrics} == {GateVerdict.INCONCLUSIVE}
        assert of(judged, SEARCH.name).ratio == pytest.approx(3.0, rel=0.1)


def test_a_regression_is_named_with_its_evidence() -> None:
    judged = decided(record(pairs(24, {SEARCH.name: 1.3}, noises={GET.name: 0.4}, seed=3)))
    assert (judged.look, judged.verdict) == (1, GateVerdict.REGRESSION)
    assert of(judged, SEARCH.name).verdict == GateVerdict.REGRESSION
    assert of(judged, GET.name).verdict == GateVerdict.INCONCLUSIVE
    assert of(judged, RATE.name).verdict == GateVerdict.NO_REGRESSION
    assert len(judged.reasons) == 1
    assert judged.reasons[0].startswith("search P50 is ")
    assert "% slower (95% interval " in judged.reasons[0]
    assert ", 24 pairs): " in judged.reasons[0]
    assert " ms -> " in judged.reasons[0]
    assert '[[waiver]] metric = "search P50"' in judged.hints[0]


def test_a_clear_pass_ends_it_too() -> None:
    judged = decided(record(pairs(12)))
    assert (judged.look, judged.verdict) == (0, GateVerdict.NO_REGRESSION)
    assert "no regression in 3 gated metrics" in judged.reasons[0]
    assert "(95% bound)" in judged.reasons[0]


def test_one_metric_that_is_not_sound_keeps_it_open_until_the_second_look() -> None:
    drawn = pairs(24, noises={GET.name: 0.2}, seed=1)
    judged = record(drawn[:12])
    assert not decide(judged, [], TODAY)
    assert judged.notes == []
    judged.pairs = drawn
    decided(judged)
    assert (judged.look, judged.verdict) == (1, GateVerdict.NO_REGRESSION)
    assert "(95% bound)" in judged.reasons[0]


def test_a_regression_goes_on_to_the_last_look_which_names_all() -> None:
    drawn = pairs(24, {SEARCH.name: 1.3, GET.name: 1.12}, noises={GET.name: 0.1})
    judged = record(drawn[:12])
    assert not decide(judged, [], TODAY)
    assert (judged.look, judged.verdict, judged.reasons, judged.hints) == (None, GateVerdict.INVALID, [], [])
    assert of(judged, SEARCH.name).verdict == GateVerdict.INCONCLUSIVE
    judged.pairs = drawn
    decided(judged)
    assert of(judged, SEARCH.name).verdict == of(judged, GET.name).verdict == GateVerdict.REGRESSION


def test_a_lower_null_finds_more_and_least_still_says_what_matters() -> None:
    drawn = pairs(24, {GET.name: 1.05}, noise=0.04)
    lower = msgspec.structs.replace(GET, null=1.02)
    assert decided(record(drawn)).verdict != GateVerdict.REGRESSION
    assert decided(record(drawn, rules([lower, SEARCH, RATE]))).verdict == GateVerdict.REGRESSION
    mattering = msgspec.structs.replace(lower, least=1.2)
    assert decided(record(drawn, rules([mattering, SEARCH, RATE]))).verdict == GateVerdict.NO_REGRESSION


def test_a_metric_may_have_a_bound_of_its_own() -> None:
    drawn = pairs(24, {GET.name: 1.04}, noises={GET.name: 0.3})
    wide = msgspec.structs.replace(GET, bound=1.4)
    assert of(decided(record(drawn)), GET.name).verdict == GateVerdict.INCONCLUSIVE
    assert of(decided(record(drawn, rules([wide, SEARCH, RATE]))), GET.name).verdict == GateVerdict.NO_REGRESSION


def test_a_regression_too_weak_for_the_first_look_is_found_at_the_second() -> None:
    drawn = pairs(24, {GET.name: 1.12}, noise=0.1)
    judged = record(drawn[:12])
    assert not decide(judged, [], TODAY)
    judged.pairs = drawn
    decided(judged)
    assert judged.verdict == GateVerdict.REGRESSION
    result = of(judged, GET.name)
    assert result.p_adjusted is not None
    assert result.p is not None
    assert result.p < result.p_adjusted < 0.04


def test_noise_is_inconclusive_and_says_what_would_have_been_found() -> None:
    judged = decided(record(pairs(24, {GET.name: 1.05}, noises={GET.name: 0.3})))
    assert judged.verdict == GateVerdict.INCONCLUSIVE
    result = of(judged, GET.name)
    assert result.detectable is not None
    assert result.upper is not None
    assert result.upper > 1.15
    assert f"{result.detectable - 1:.0%} or more would have been found" in judged.reasons[0]
    assert "NO REGRESSION needs one under 15.0%" in judged.reasons[0]
    assert "quieter machine" in judged.hints[0]


def test_too_few_pairs_for_so_many_metrics_say_so() -> None:
    judged = decided(record(pairs(6, {GET.name: 2.0}), rules(looks=(6,), alpha=0.03)))
    assert judged.verdict == GateVerdict.INCONCLUSIVE
    assert "so few pairs could have found nothing, however large" in judged.reasons[0]


def test_worse_by_less_than_matters_is_no_regression_however_sure() -> None:
    judged = decided(record(pairs(24, {GET.name: 1.03}, noise=0.005)))
    assert judged.verdict == GateVerdict.NO_REGRESSION
    result = of(judged, GET.name)
    assert result.low is not None
    assert result.low > 1


@pytest.mark.parametrize(("base", "verdict"), [(200.0, GateVerdict.NO_REGRESSION), (2000.0, GateVerdict.REGRESSION)])
def test_growth_below_the_floor_does_not_matter(base: float, verdict: GateVerdict) -> None:
    floored = msgspec.structs.replace(GET, floor_us=100)
    drawn = pairs(24, {GET.name: 1.25}, metrics=(floored,), base={GET.name: base})
    judged = decided(record(drawn, rules((floored,), LAST)))
    assert judged.verdict == verdict
    assert ("less than the 100 µs that matter" in of(judged, GET.name).reasons[0]) is (base == 200.0)


def test_a_rate_that_fell_is_worse_and_said_in_its_own_percent() -> None:
    judged = decided(record(pairs(24, {RATE.name: 1.25}, noise=0.01)))
    assert judged.verdict == GateVerdict.REGRESSION
    assert judged.reasons[0].startswith("search rate is 20% lower (95% interval ")
    assert "/s -> " in judged.reasons[0]


def test_an_improvement_is_told_and_passes() -> None:
    judged = decided(record(pairs(12, {SEARCH.name: 0.8, RATE.name: 0.8}, noise=0.01)))
    assert judged.verdict == GateVerdict.NO_REGRESSION
    assert of(judged, SEARCH.name).verdict == of(judged, RATE.name).verdict == GateVerdict.IMPROVEMENT
    assert of(judged, SEARCH.name).reasons[0].startswith("search P50 is 20% faster (95% interval 20% to 21%, 12 pairs)")
    assert of(judged, RATE.name).reasons[0].startswith("search rate is 24% higher (95% interval 24% to 25%, ")
    assert of(judged, GET.name).verdict == GateVerdict.NO_REGRESSION


def test_what_only_advises_fails_nothing() -> None:
    judged = decided(record(pairs(24, {gates.CPU.name: 2.0, gates.P95.name: 2.0}, noise=0.05)))
    assert of(judged, gates.CPU.name).verdict == of(judged, gates.P95.name).verdict == GateVerdict.REGRESSION
    assert judged.verdict == GateVerdict.NO_REGRESSION


def test_a_metric_that_most_pairs_lack_is_invalid() -> None:
    drawn = pairs(24)
    for pair in drawn[:13]:
        del pair.values[GET.name]
    judged = decided(record(drawn))
    assert judged.verdict == GateVerdict.INVALID
    assert judged.reasons == ["get P50: only 11 of 24 pairs have figures of both sides"]
    assert of(judged, SEARCH.name).verdict == GateVerdict.NO_REGRESSION
    del drawn[13:]
    assert of(record(drawn, metrics=so_far(record(drawn))), GET.name).ratio is None


def test_doubtful_pairs_do_not_count() -> None:
    drawn = pairs(24)
    doubtful = gates.block("head", {"response": np.ones(1)}, doubts=["the hypervisor took 40%"])
    judged = record([*drawn[:11], msgspec.structs.replace(drawn[11], blocks=[doubtful])])
    assert not decide(judged, [], TODAY)
    assert judged.look is None
    judged.pairs.append(drawn[12])
    assert decide(judged, [], TODAY)


@pytest.mark.parametrize(("until", "verdict"), [(TODAY, GateVerdict.NO_REGRESSION), (date(2026, 2, 28), "REGRESSION")])
def test_a_waiver_holds_through_its_last_day(until: date, verdict: GateVerdict) -> None:
    waiver = Waiver(SEARCH.name, "the new index, see its pull request", until)
    judged = decided(record(pairs(24, {SEARCH.name: 1.3})), waiver)
    assert judged.verdict == verdict
    assert of(judged, SEARCH.name).waiver == waiver
    if until == TODAY:
        assert of(judged, SEARCH.name).verdict == GateVerdict.WAIVED
        assert judged.reasons[0].startswith("no regression in 2 gated metrics")
        assert "search P50 is " in judged.reasons[1]
        assert "waived until 2026-03-01: the new index" in judged.reasons[1]
    else:
        assert "its waiver expired on 2026-02-28: the new index" in judged.reasons[0]
    assert judged.notes == []


@pytest.mark.parametrize(("most", "verdict"), [(1.6, GateVerdict.NO_REGRESSION), (1.3, GateVerdict.REGRESSION)])
def test_a_waiver_may_say_how_much_it_accepts(most: float, verdict: GateVerdict) -> None:
    judged = decided(record(pairs(24, {SEARCH.name: 1.5})), Waiver(SEARCH.name, "the new index", TODAY, most))
    assert judged.verdict == verdict
    assert ("accepts up to 1.3× and no more" in judged.reasons[0]) is (most == 1.3)


def test_a_waived_regression_does_not_end_the_gate_for_the_others() -> None:
    judged = record(pairs(12, {SEARCH.name: 1.5}))
    assert not decide(judged, [Waiver(SEARCH.name, "known", TODAY)], TODAY)


def test_a_waiver_that_covers_nothing_can_be_removed() -> None:
    judged = decided(record(pairs(12)), Waiver(SEARCH.name, "old", TODAY))
    assert judged.notes == ['the waiver of "search P50" covers nothing, it did not regress: it can be removed']
    decided(judged, Waiver(SEARCH.name, "old", TODAY))
    assert len(judged.notes) == 1


def test_a_waiver_of_no_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="search P59") as caught:
        decide(record([]), [Waiver("search P59", "slip", TODAY)], TODAY)
    assert "search P50" in caught.value.hint


def test_nothing_measured_is_no_pass() -> None:
    judged = record([])
    cut_short(judged)
    assert judged.verdict == GateVerdict.INVALID
    assert judged.reasons == ["nothing was measured: no pair counts"]


def test_a_gate_cut_short_decides_nothing() -> None:
    judged = record(pairs(17, {SEARCH.name: 3.0}))
    cut_short(judged)
    assert judged.verdict == GateVerdict.INCONCLUSIVE
    assert judged.reasons == ["it ended undecided: 17 of 24 pairs count"]


def test_a_gate_whose_pairs_were_spoilt_is_invalid_and_says_by_what() -> None:
    judged = record(gates.measured(30, LATENCY))
    for pair in judged.pairs[:9]:
        pair.blocks[0].doubts = ["the hypervisor took 15% of the CPU time"]
    cut_short(judged)
    assert judged.verdict == GateVerdict.INVALID
    assert judged.reasons[0].startswith("too many pairs were in doubt: 9 of 30, most since base, mix: the hypervisor")


LATENCY = (Metric("search P50", "mix", "latency", "search", gated=True),)
ONE_LOOK = rules(LATENCY, (8,))


def test_figures_of_the_sides_are_those_of_all_requests() -> None:
    judged = decided(record(gates.measured(8, LATENCY, slower=1.3), ONE_LOOK))
    result = of(judged, "search P50")
    assert judged.verdict == GateVerdict.REGRESSION
    assert result.base == judged.pooled("base", "mix", "search", "response").percentile(50)
    assert result.head == pytest.approx(1.3 * 5000, rel=0.03)


def test_what_the_generators_lag_explains_is_invalid() -> None:
    judged = decided(record(gates.measured(8, LATENCY, late=3000.0), ONE_LOOK))
    assert judged.verdict == GateVerdict.INVALID
    assert "but the generator sent late: from when requests were sent, it is " in judged.reasons[0]
    assert "a core of its own" in judged.hints[0]


def test_lag_beside_a_slower_service_excuses_nothing() -> None:
    judged = decided(record(gates.measured(8, LATENCY, slower=1.2, late=1000.0), ONE_LOOK))
    assert judged.verdict == GateVerdict.REGRESSION


def test_lag_does_not_end_the_gate_early() -> None:
    looks = rules(LATENCY, (8, 12))
    drawn = gates.measured(12, LATENCY, late=3000.0)
    judged = record(drawn[:8], looks)
    assert not decide(judged, [], TODAY)
    judged.pairs = drawn
    decided(judged)
    assert judged.verdict == GateVerdict.INVALID


@pytest.mark.parametrize("side", ["base", "head"])
def test_errors_are_neither_a_pass_nor_a_mere_regression(side: Side) -> None:
    for errors in ({2: 5}, dict.fromkeys(range(1, 9), 1)):
        drawn = gates.measured(8, LATENCY, slower=1.5, errors={side: errors})
        judged = decided(record(drawn, ONE_LOOK))
        assert judged.verdict == GateVerdict.INVALID
        assert judged.reasons[0].startswith(f"{side} failed {sum(errors.values())} of 3,20")
        assert "requests of search in mix" in judged.reasons[0]
        assert "most often HTTP 503 (" in judged.reasons[0]
        assert of(judged, "search P50").verdict == GateVerdict.INVALID


@pytest.mark.parametrize("side", ["base", "head"])
def test_requests_that_are_never_answered_are_no_pass(side: Side) -> None:
    drawn = gates.measured(8, LATENCY, hung={side: dict.fromkeys((1, 3, 5, 7), 2)})
    judged = decided(record(drawn, ONE_LOOK))
    assert judged.verdict == GateVerdict.INVALID
    assert judged.reasons[0].startswith(f"{side} did not answer 8 of 3,208 requests of search in mix at all")


def test_one_spell_without_answers_may_be_the_machines() -> None:
    judged = decided(record(gates.measured(8, LATENCY, hung={"head": {4: 200}}), ONE_LOOK))
    assert judged.verdict == GateVerdict.NO_REGRESSION


def test_one_error_among_the_first_requests_does_not_end_it() -> None:
    few = record(gates.measured(2, LATENCY, errors={"head": {1: 3}}), ONE_LOOK)
    assert errors_of(few)
    assert errors_of(few, certain=True) == []
    assert errors_of(record(gates.measured(2, LATENCY, errors={"head": {1: 5}}), ONE_LOOK), certain=True)


def test_errors_that_may_still_be_few_enough_let_nothing_pass_early() -> None:
    looks = rules(LATENCY, (8, 16))
    drawn = gates.measured(16, LATENCY, errors={"head": dict.fromkeys(range(1, 6), 1)})
    judged = record(drawn[:8], looks)
    assert not decide(judged, [], TODAY)
    judged.pairs = drawn
    assert decided(judged).verdict == GateVerdict.NO_REGRESSION


def test_a_side_that_answers_nothing_has_a_rate_and_it_is_worse() -> None:
    rate = Metric("search rate", "mix", "rate", "search", gated=True)
    drawn = gates.measured(8, [rate])
    for pair in drawn[::2]:
        for block in pair.blocks:
            if block.side == "head":
                block.rates = {"search": 0.0}
        pair.take_values((rate,))
    judged = decided(record(drawn, rules([rate], (8,))))
    assert of(judged, rate.name).pairs == 8
    assert judged.verdict == GateVerdict.INCONCLUSIVE
    for pair in drawn:
        for block in pair.blocks:
            block.rates = {"search": 0.0}
        pair.values = {}
        pair.take_values((rate,))
    assert decided(record(drawn, rules([rate], (8,)))).verdict == GateVerdict.INVALID


def test_a_stray_error_is_none() -> None:
    judged = decided(record(gates.measured(8, LATENCY, errors={"head": {1: 2}}), ONE_LOOK))
    assert judged.verdict == GateVerdict.NO_REGRESSION


@pytest.mark.parametrize("field", ["python", "schema"])
def test_sides_of_different_kinds_are_not_compared(field: str) -> None:
    unlike = gates.sides(Compared("main", **{field: "3.11.7"}), Compared("HEAD", **{field: "3.14.0"}))
    judged = decided(record(pairs(12), sides=unlike))
    assert judged.verdict == GateVerdict.INVALID
    assert "3.11.7 and 3.14.0" in judged.reasons[0]
    unknown = gates.sides(Compared("main", **{field: "3.11.7"}), Compared("HEAD"))
    assert decided(record(pairs(12), sides=unknown)).verdict == GateVerdict.NO_REGRESSION


def test_what_a_reader_should_know_of_the_sides_is_noted() -> None:
    same = gates.sides(Compared("main", "abc", environment="x"), Compared("HEAD", "abc", environment="y"))
    judged = decided(record(pairs(12), sides=same))
    assert judged.verdict == GateVerdict.NO_REGRESSION
    assert "pinned dependencies" in judged.notes[0]
    assert "same revision" in judged.notes[1]


def test_verdicts_survive_being_written_down() -> None:
    judged = decided(record(pairs(24, {SEARCH.name: 1.3})))
    assert msgspec.json.decode(msgspec.json.encode(judged), type=GateRecord).metrics == judged.metrics

"""Two stored records: what may be said of them, and what keeps anything from being said."""

import math

import msgspec
import numpy as np
import pytest

from harness.core.comparison import Finding
from harness.core.record import OperationVerdict, Setting
from harness.core.scenario import Operation, Phases, Scenario
from harness.core.verdict import Verdict
from harness.judge.compare import compare, rate_ratio_interval, ratio_interval
from tests.report.runs import DATA, SYSTEM, WARM, Server, make, provenance, result_of

replace = msgspec.structs.replace


def run(drawn=1, base=9_000, **changes):
    servers = {"search": Server(base, **changes.pop("server", {}))}
    result = replace(result_of(WARM, servers, drawn), **changes.pop("result", {}))
    return make(f"run-{drawn}", scenarios=[result], **changes)


@pytest.fixture(scope="module")
def usual():
    return run()


def of(comparison, percentile, clock="response"):
    return next(f for f in comparison.figures if (f.clock, f.percentile) == (clock, percentile))


def test_a_record_compared_with_itself_is_within_noise(usual):
    found = compare(usual, usual)
    assert found.comparable
    assert found.figures
    assert {figure.finding for figure in found.figures} == {Finding.WITHIN_NOISE}
    assert all(figure.ratio == 1 and figure.low <= 1 <= figure.high for figure in found.figures)


def test_the_other_way_round_the_ratios_are_inverse(usual):
    other = run(2, 11_000)
    there, back = of(compare(usual, other), 95), of(compare(other, usual), 95)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)
    assert (there.finding, back.finding) == (Finding.SLOWER, Finding.FASTER)


def test_another_seed_of_the_same_server_is_within_noise(usual):
    found = compare(usual, run(3))
    assert of(found, 50).finding is Finding.WITHIN_NOISE
    assert of(found, 99).finding is Finding.WITHIN_NOISE


def test_a_rate_that_could_not_be_kept_is_lower(usual):
    found = compare(usual, run(1, server={"skipped": 600}))
    (rate,) = (figure for figure in found.figures if figure.kind == "rate")
    assert rate.finding is Finding.NONE
    assert rate.why == "other failures"
    steady = np.full(30, 90)
    low, high = rate_ratio_interval(steady, steady - 9 + np.arange(30) % 2)
    assert 0.89 < low < high < 0.92
    assert rate_ratio_interval(steady, steady) == (1, 1)
    assert rate_ratio_interval(steady[:5], steady[:5]) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"provenance": replace(provenance(), machine={**provenance().machine, "cores": 4})}, ("cores", "2", "4")),
        ({"provenance": replace(provenance(), python="3.12.1")}, ("python", "3.11.9", "3.12.1")),
        (
            {"system": replace(SYSTEM, settings=[Setting("shared_buffers", "1GB", ""), SYSTEM.settings[1]])},
            ("setting shared_buffers", "1971MB", "1GB"),
        ),
        ({"system": replace(SYSTEM, url="http://10.0.0.9:3333")}, ("service on", "127.0.0.1", "10.0.0.9")),
        ({"system": replace(SYSTEM, pgvector_version="0.8.5")}, ("pgvector version", "0.8.4", "0.8.5")),
        ({"dataset": replace(DATA, fingerprint="ab" * 32)}, ("data set", "9c" * 6, "ab" * 6)),
        ({"seed": 8}, ("seed", "7", "8")),
        (
            {"result": {"scenario": replace(WARM, phases=Phases(warmup=2, measure=21))}},
            ("warm_query: phases", "measure 20", "measure 21"),
        ),
        ({"result": {"pressure": "a hog"}}, ("warm_query: pressure", "none", "a hog")),
    ],
)
def test_what_differs_is_named_and_nothing_is_said(usual, changes, named):
    found = compare(usual, run(1, **changes))
    assert [(one.name, one.a, one.b) for one in found.differences] == [named]
    assert not found.comparable
    assert {figure.why for figure in found.figures} == {"not comparable"}
    assert of(found, 50).ratio is not None


def test_what_a_comparison_is_about_makes_no_difference(usual):
    newer = replace(provenance(), git_revision="0" * 40, machine={**provenance().machine, "load_before": 1.5})
    other = run(1, provenance=newer, system=replace(SYSTEM, service="reference 0.2.0", url="http://127.0.0.1:999"))
    assert compare(usual, other).comparable


def test_generated_data_of_another_day_are_the_same():
    monday, tuesday = (
        replace(
            DATA, source=f"20,000 generated memories, seed 7, ages counted from 2026-05-0{day}", fingerprint=f"{day}"
        )
        for day in (4, 5)
    )
    assert compare(run(dataset=monday), run(dataset=tuesday)).comparable


def test_a_phase_that_was_repeated_is_compared(usual):
    assert compare(usual, run(1, result={"seed": 1_000_007, "attempt": 2})).comparable


def test_invalid_figures_are_marked_and_not_judged(usual):
    doubted = {"verdicts": {"search": OperationVerdict(Verdict.INVALID, ["the generator lagged"])}}
    found = compare(usual, run(1, 20_000, result=doubted))
    assert {figure.why for figure in found.figures} == {"INVALID in B"}
    assert "warm_query, search: INVALID" in found.b.trouble


def test_latencies_of_what_was_left_after_failures_are_not_compared(usual):
    found = compare(usual, run(1, server={"errors": 0.2}))
    assert {figure.why for figure in found.figures} == {"other failures"}
    assert "failed in A" in found.notes[0]


def test_a_floor_that_differs_tells_of_the_machine():
    floor = replace(WARM, floor=True)
    slow, fast = (
        make("x", scenarios=[result_of(floor, {"search": Server(9_000), "noop": Server(base)}, 1)])
        for base in (60, 600)
    )
    assert "the machine was in another mood" in compare(slow, fast).notes[0]


def test_a_phase_too_short_for_intervals_has_ratios_only():
    short = Scenario(
        "short", "", "", WARM.arrivals, (Operation("search", "search"),), phases=Phases(warmup=1, measure=6)
    )
    record = make("short", scenarios=[result_of(short, {"search": Server(9_000)}, 1)])
    median = of(compare(record, record), 50)
    assert (median.ratio, median.finding) == (1, Finding.NONE)
    assert median.why == "a phase under 12 s"


def test_the_interval_of_a_ratio_adds_what_is_uncertain_in_both():
    low, high = ratio_interval(100, (90, 110), 120, (110, 140))
    assert low == pytest.approx(1.2 * math.exp(-math.hypot(math.log(120 / 110), math.log(1.1))))
    assert high == pytest.approx(1.2 * math.exp(math.hypot(math.log(140 / 120), math.log(100 / 90))))
    assert ratio_interval(100, (100, 100), 120, (120, 120)) == pytest.approx((1.2, 1.2))
    assert ratio_interval(100, (90, 110), 120, (110, math.inf))[1] == math.inf

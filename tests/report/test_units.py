import math

import pytest

from harness.report import units


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0, "0 µs"),
        (0.45, "450 ns"),
        (7, "7 µs"),
        (41.27, "41.3 µs"),
        (412, "412 µs"),
        (999.7, "1.00 ms"),
        (1_000, "1.00 ms"),
        (1_834, "1.83 ms"),
        (99_960, "100 ms"),
        (999_600, "1.00 s"),
        (2_000_000, "2.00 s"),
        (61_250_000, "61.2 s"),
        (3_600_000_000, "3,600 s"),
    ],
)
def test_a_duration_takes_the_scale_that_suits_it(microseconds, text):
    assert units.duration(microseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (9.996, "10.0"), (99.96, "100"), (149.9, "150"), (1053.4, "1,053")],
)
def test_a_number_has_three_digits_and_no_exponent(value, text):
    assert units.number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.412, "ms", "412 µs"),
        (0.0312, "s", "31.2 ms"),
        (1053.0, "1/s", "1,053/s"),
        (100, "users", "100 users"),
        (4.1, "%", "4.10%"),
        (11.3, ":1", "11.3:1"),
        (None, "ms", "–"),
    ],
)
def test_a_figure_in_its_targets_unit(value, unit, text):
    assert units.in_unit(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "better", "text"),
    [
        (1, "ms", "lower", "≤ 1 ms"),
        (1000, "1/s", "higher", "≥ 1,000/s"),
        (0.5, "%", "lower", "≤ 0.5%"),
        (10, ":1", "higher", "≥ 10:1"),
    ],
)
def test_a_bound_is_shown_as_it_was_set(value, unit, better, text):
    assert units.bound(value, unit, better) == text


def test_a_figure_that_missed_its_bound_by_little_does_not_read_as_the_bound():
    assert units.figure(1.0, "ms", (1, 2)) == "1.00 ms"
    assert units.figure(1.004, "ms", (1, 2)) == "1.004 ms"
    assert units.figure(999.96, "1/s", (1000, 500)) == "999.96/s"
    assert units.figure(2.00000001, "ms", (1, 2)) == "2.000000 ms"


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0, "0%"), (0.0042, "0.420%"), (1.0, "100%")])
def test_a_share_is_a_percentage(value, text):
    assert units.share(value) == text


def test_cleaning_leaves_text_and_line_breaks_and_drops_what_xml_forbids():
    assert units.clean("a\x00b\x1b[31m\x9b\nc\td\ufffe") == "ab[31m\nc\td"
    assert units.clean("µ – 日本 😀") == "µ – 日本 😀"

"""The table and the plot of made-up outcomes, and repeats."""

import io
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

from rich.console import Console

from harness.cli.selftest import plot
from harness.core.errors import LoadError
from harness.core.record import Provenance
from harness.core.verdict import Verdict
from harness.load.job import Progress
from harness.selftest import check
from harness.selftest.cases import Case, Findings
from harness.selftest.conditions import Conditions
from harness.selftest.expected import Range
from harness.selftest.offering import Bench
from harness.selftest.run import Outcome, Selftest
from harness.selftest.table import print_table

PROVENANCE = Provenance("0", [], "", False, {}, "", {})
TRUTH = Range(1000, 1000)


class Silence:
    def step(self, text: str) -> None: ...
    def load(self, scenario: str, progress: Progress) -> None: ...


def outcome(tmp_path: Path, *attempts: tuple[float, Conditions]) -> Outcome:
    """Of one case that measures these milliseconds under these conditions, attempt by attempt, the last ever again."""
    left = chain(attempts, repeat(attempts[-1]))

    def run(bench: Bench) -> Findings:
        measured, around = next(left)
        yield check.time("response P99", TRUTH, TRUTH.widened(5), measured * 1e3), around
        yield check.hidden("response P95", TRUTH, 2000), around

    return Selftest(Bench(tmp_path, {}, Silence()), [Case("one", "a freeze", 1, run)], PROVENANCE).run()


def printed(found: Outcome, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    print_table(found, Console(file=file, width=100, force_terminal=False))
    file.flush()
    return raw.getvalue().decode(encoding)


LAGGED = Conditions(lag_ms=300)


def test_a_spoilt_case_is_repeated_once(tmp_path: Path) -> None:
    assert outcome(tmp_path, (1200, LAGGED), (1001, LAGGED)).verdict == Verdict.PASS
    assert outcome(tmp_path, (1200, LAGGED), (1200, LAGGED)).verdict == Verdict.INVALID
    assert outcome(tmp_path, (1200, LAGGED), (1200, Conditions())).verdict == Verdict.FAIL


def test_a_wrong_figure_is_not_measured_until_it_is_right(tmp_path: Path) -> None:
    found = outcome(tmp_path, (900, LAGGED), (1000, Conditions()))
    assert found.verdict == Verdict.INVALID
    assert found.rows[0].reason.startswith("900 ms at first (no delay makes it so")


def test_an_instrument_that_is_wrong_is_wrong_again(tmp_path: Path) -> None:
    assert outcome(tmp_path, (900, LAGGED), (900, Conditions())).verdict == Verdict.FAIL
    assert outcome(tmp_path, (1200, Conditions()), (1200, Conditions())).verdict == Verdict.FAIL


def test_the_table_says_it_without_colour(tmp_path: Path) -> None:
    text = printed(outcome(tmp_path, (1200, Conditions())))
    assert text.startswith("FAIL: the instrument is wrong")
    assert "response P99" in text
    assert "1,000 ms" in text
    assert "FAIL [1]" in text
    assert "[1] 165.0 ms beyond the tolerance" in text
    assert "truth: 1,000 ms" in text
    assert "a figure was spoilt" in printed(outcome(tmp_path, (1200, LAGGED), (1200, LAGGED)), "ascii")


def test_a_case_that_cannot_run_is_invalid_with_the_reason(tmp_path: Path) -> None:
    def run(bench: Bench) -> Iterator[tuple[check.Check, Conditions]]:
        raise LoadError("no such luck")
        yield

    found = Selftest(Bench(tmp_path, {}, Silence()), [Case("one", "a freeze", 1, run)], PROVENANCE).run()
    assert found.verdict == Verdict.INVALID
    assert "no such luck" in printed(found)


def test_an_interrupt_keeps_what_was_found(tmp_path: Path) -> None:
    def run(bench: Bench) -> Findings:
        raise KeyboardInterrupt
        yield

    found = Selftest(Bench(tmp_path, {}, Silence()), [Case("one", "a freeze", 1, run)], PROVENANCE).run()
    assert found.interrupted
    assert found.not_run == ["a freeze"]
    assert "Not run: a freeze" in printed(found)


def test_the_plot_shows_what_is_measured_and_what_is_expected(tmp_path: Path) -> None:
    svg = plot(outcome(tmp_path, (1200, Conditions())))
    assert svg.startswith("<svg")
    assert "response P99" in svg
    assert "a freeze" in svg
    empty = Outcome("", PROVENANCE)
    assert "no time was measured" in plot(empty)

"""Micro-benchmarks of two versions in turns: a real pytest-benchmark over a tiny suite and tiny parts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.errors import LoadError, StackError
from harness.core.gate import SIDES, GateRecord, GateVerdict, Pair, Side
from harness.core.record import MicroResult, Provenance
from harness.core.rules import Metric, Rules
from harness.gate.micro import BUDGET_US, FEWEST, MicroGate, metrics_of, rounds_of, rules_of, values_of
from harness.gate.sources import Revision
from harness.stack.checkout import Checkout
from harness.stack.ledger import Ledger

SUITE = """
from reference_impl import work

def test_burn(benchmark):
    benchmark.group = "parts"
    benchmark.pedantic(work.burn, rounds=30)

def test_rest(benchmark):
    benchmark.group = "parts"
    benchmark.pedantic(sum, (range(20_000),), rounds=30)
"""
BURN = "def burn():\n    return sum(range({}))\n"
RULES = Rules(looks=(6,), metrics=(Metric("any", "any", "rate", gated=True),), bound=3.0, spare=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "runtime") as ledger:
        yield ledger


class Repository:
    """A suite, and both sides' parts."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        self.record = GateRecord("x", "", Provenance("0", [], "", False, {}, "", {}), 1, RULES)
        self.said: list[str] = []

    def gate(self, suite: str = SUITE, **parts: str) -> MicroGate:
        self._write("instrument/scenarios/micro/test_parts.py", suite)
        for side, text in parts.items():
            self._write(f"{side}/reference_impl/__init__.py", "")
            self._write(f"{side}/reference_impl/work.py", text)
        revisions: dict[Side, Revision] = {
            side: Revision(side, Checkout(self.folder / side, sys.executable, "", "", ""), self.ledger)
            for side in SIDES
        }
        return MicroGate(
            self.record,
            revisions,
            None,
            self.ledger,
            [],
            self.said.append,
            lambda: None,
            instrument=self.folder / "instrument",
        )

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def repository(tmp_path: Path, ledger: Ledger) -> Repository:
    return Repository(tmp_path, ledger)


@pytest.mark.slow
def test_what_takes_four_times_as_long_is_found_and_nothing_else_accused(repository: Repository) -> None:
    repository.gate(base=BURN.format(20_000), head=BURN.format(80_000)).run()
    record = repository.record
    verdicts = {result.metric.name: result.verdict for result in record.metrics}
    assert verdicts["micro parts/burn P50"] == GateVerdict.REGRESSION
    assert verdicts["micro parts/rest P50"] != GateVerdict.REGRESSION
    assert record.verdict == GateVerdict.REGRESSION
    assert len(record.pairs) >= 6
    assert [block.side for pair in record.pairs for block in pair.blocks if pair.first["micro"] == block.side]
    assert record.sides["base"].what == "base"


def test_benchmarks_that_fail_are_told_with_their_side_and_last_words(repository: Repository) -> None:
    broken = "def burn():\n    raise ValueError('the model is missing')\n"
    with pytest.raises(LoadError, match=r"^base: .*ValueError: the model") as caught:
        repository.gate(base=broken, head=BURN.format(1)).run()
    assert "suite is head's" in str(caught.value.hint)
    assert repository.record.pairs == []
    assert repository.record.verdict == GateVerdict.INVALID


def test_a_suite_in_which_nothing_runs_is_no_pass(repository: Repository) -> None:
    with pytest.raises(LoadError, match=r"^base: the micro-benchmarks failed"):
        repository.gate("", base=BURN.format(1), head=BURN.format(1)).run()
    assert repository.record.verdict == GateVerdict.INVALID


def test_a_side_without_parts_of_its_own_is_not_measured_by_others(repository: Repository) -> None:
    with pytest.raises(StackError, match=r"^base: not its own reference_impl would be measured"):
        repository.gate(head=BURN.format(1)).run()


def test_sides_of_different_python_are_not_measured(repository: Repository) -> None:
    gate = repository.gate(base=BURN.format(1), head=BURN.format(1))
    gate._revisions["base"].compared.python = "CPython 3.12.1"
    gate._revisions["head"].compared.python = "CPython 3.13.0"
    gate.run()
    assert repository.record.verdict == GateVerdict.INVALID
    assert repository.said == []


def result(name: str, rounds: int = 100, p50: float = 10.0) -> MicroResult:
    return MicroResult("g", name, rounds, p50, 2 * p50, 3 * p50 if rounds >= 1000 else None, 4 * p50, 1e6 / p50)


def results(*given: MicroResult) -> dict[str, MicroResult]:
    return {f"{one.group}/{one.name}": one for one in given}


def test_metrics_are_of_what_both_sides_have_and_of_percentiles_that_the_rounds_carry() -> None:
    found: dict[Side, dict[str, MicroResult]] = {
        "base": results(result("few"), result("gone"), result("some", 200), result("many", 1000)),
        "head": results(result("few"), result("new"), result("some", 200), result("many", 1000, p50=20)),
    }
    metrics = metrics_of(found)
    assert [metric.name for metric in metrics if metric.gated] == [
        "micro g/few P50",
        "micro g/some P50",
        "micro g/many P50",
    ]
    assert [metric.name for metric in metrics if not metric.gated] == [
        "micro g/some P95",
        "micro g/many P95",
        "micro g/many P99",
    ]
    values = values_of(found, metrics)
    assert values["micro g/many P99"] == (30, 60)
    assert Pair(1, 1, {}, [], values).worse(metrics[2]) == pytest.approx(0.693, abs=0.001)
    assert rules_of(RULES, metrics).looks == RULES.looks


def test_both_sides_have_the_rounds_that_the_slower_one_has_time_for() -> None:
    rounds = rounds_of(
        {"base": results(result("a", p50=10), result("b", p50=1e6)), "head": results(result("a", p50=100), result("b"))}
    )
    assert rounds["g/a"] == BUDGET_US / 100
    assert rounds["g/b"] == rounds["*"] == FEWEST

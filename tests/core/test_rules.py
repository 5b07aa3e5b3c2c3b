"""The rules of a gate: those that are shipped, and what is refused."""

from pathlib import Path

import pytest

import scenarios
from harness.core.errors import UsageError
from harness.core.rules import load_rules
from harness.core.scenario import load_scenario

SHIPPED = scenarios.GATE / "gate.toml"
LOOKS = "looks = [12, 24]\n"
METRIC = '[[metrics]]\nname = "a"\nblock = "b"\nkind = "rate"\noperation = "get"\n'
GATED = METRIC + "gated = true\n"


def test_the_shipped_rules_gate_what_a_user_feels_and_every_metric_is_measured() -> None:
    rules = load_rules(SHIPPED)
    gated = {metric.name for metric in rules.metrics if metric.gated}
    tails = {f"{operation} P{percent}" for operation in ("get", "search", "create") for percent in (50, 99)}
    assert gated == tails | {"search rate", "create rate"}
    blocks = {name: load_scenario(SHIPPED.with_name(f"{name}.toml")) for name in rules.block_names}
    for metric in rules.metrics:
        names = {operation.name for operation in blocks[metric.block].operations}
        assert metric.kind == "cpu" or metric.operation in names


def test_a_block_is_measured_in_turns_of_about_the_length_asked_for() -> None:
    rules = load_rules(SHIPPED)
    assert [rules.turns(seconds * rules.turn) for seconds in (0.1, 0.25, 0.3, 1, 2, 3.4)] == [1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOOKS + METRIC, "no metric is gated"),
        (LOOKS + GATED + GATED, "same name"),
        (LOOKS + GATED + "least = 1.05\nnull = 1.1\n", "null lies above least"),
        (LOOKS + GATED + "null = 0.9\n", "null"),
        ("looks = [24, 12]\n" + GATED, "ascending"),
        (LOOKS + "alpha = 0.07\n" + GATED, "<= 0.05"),
        (LOOKS + "clear = 1.1\n" + GATED, "clear"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load_rules(path)
    assert "rules.toml" in str(caught.value)

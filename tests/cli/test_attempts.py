"""How often a scenario is measured that cannot be believed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import scenarios
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.cli.measuring import Measuring
from harness.cli.options import RunOptions
from harness.cli.session import Session
from harness.core.record import ScenarioResult
from harness.core.scenario import load_scenario

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("spoilt", "attempts"), [(0, [1, 1]), (1, [2, 1]), (2, [3, 1]), (9, [3, 1])])
def test_spoilt_figures_are_measured_again_at_once_and_a_last_time_at_the_end(
    spoilt: int,
    attempts: list[int],
    tmp_path: Path,
    fake_service: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def doubts(self: Measuring, result: ScenarioResult) -> list[str]:
        return ["robbed"] if result.name == "noop" and result.attempt <= spoilt else []

    def attempt(self: Measuring, system: object, scenario: object, dataset: object, number: int) -> object:
        seen.append((scenario.name, number))  # type: ignore[attr-defined]
        return ScenarioResult(scenario, "2026-01-01T00:00:00Z", 1.0, "complete", 1, {}, []), []  # type: ignore[arg-type]

    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(Measuring, "doubts", doubts)
    monkeypatch.setattr(Measuring, "attempt", attempt)
    noop = load_scenario(scenarios.paths()["noop"])
    both = [noop, msgspec.structs.replace(noop, name="other")]
    options = RunOptions(both, False, "", fake_service(), "auto", 1, 1, None, None, tmp_path, [])
    record = Session(options, Display(Console(quiet=True)), Interrupts()).run()
    assert [result.attempt for result in record.scenarios] == attempts
    expected = [("noop", n) for n in range(1, min(spoilt, 1) + 2)] + [("other", 1)]
    assert seen == expected + [("noop", 3)] * (spoilt >= 2)

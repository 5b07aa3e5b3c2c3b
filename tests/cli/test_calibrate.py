"""`membench gate --calibrate` as its user runs it."""

import json
from pathlib import Path

import pytest

from harness.core.calibration import load
from harness.core.gate import Compared, save
from harness.core.scenario import load_scenario
from tests.cli.conftest import ROOT, Membench
from tests.judge.gates import pairs, record, rules

RULES = Path(__file__).parent / "gate" / "rules.toml"


@pytest.fixture(autouse=True)
def modules_are_found(membench: Membench) -> None:
    membench.environment["PYTHONPATH"] = str(ROOT)


@pytest.mark.slow
def test_head_is_slower_by_what_its_arm_says_and_too_few_rounds_are_said_to_be(membench: Membench) -> None:
    words = ("--rules", RULES, "--memories", 200, "--postgres", "embedded", "--out", "out", "--pairs", 1)
    status, output = membench.run("gate", "--calibrate", *words)
    assert status == 0, output
    assert membench.left_behind() == []
    assert "too few rounds" in output
    found = load(membench.cwd / "out")
    assert [arm.factor for arm in found.arms] == [1, 1.05, 1.1, 1.2, 1.5]
    assert all(len(arm.pairs) == 1 and arm.result is None for arm in found.arms)
    # Every arm stands beside a base of its own.
    assert len({arm.pairs[0].values["search P50"][0] for arm in found.arms}) > 1
    assert (membench.cwd / "out" / "calibration.md").read_text().strip() in output


def stored(folder: Path, head: str) -> Path:
    """A gate with 24 pairs of the figures that rules.toml asks for."""
    folder.mkdir()
    found = record(pairs(24), rules())
    found.sides = {"base": Compared("HEAD", "abc"), "head": Compared(head, "abc")}
    found.blocks = {"quick": load_scenario(RULES.parent / "quick.toml")}
    save(found, folder)
    return folder


def test_gates_of_a_revision_against_itself_are_drawn_anew_without_measuring(
    membench: Membench, tmp_path: Path
) -> None:
    gate = stored(tmp_path / "gate", "HEAD")
    own = tmp_path / "own.toml"
    own.write_text(
        "bound = 1.15\nlooks = [12, 24]\n"
        '[[metrics]]\nname = "get P50"\n'
        'block = "quick"\nkind = "latency"\noperation = "get"\ngated = true\n'
    )
    (tmp_path / "quick.toml").write_text((RULES.parent / "quick.toml").read_text())
    words = ("--calibrate", "--pairs", 0, "--from", gate, "--rules", own, "--out", "out")
    status, output = membench.run("gate", *words)
    assert status == 0, output
    assert "Of 1 real gates, 0 said REGRESSION" in output
    result = json.loads((membench.cwd / "out" / "calibration.json").read_text())["arms"][0]["result"]
    assert result["regression"]["of"] == 2000
    assert result["pairs"] == 24


def test_a_gate_of_two_versions_says_nothing_of_false_alarms(membench: Membench, tmp_path: Path) -> None:
    gate = stored(tmp_path / "gate", "the working tree")
    status, output = membench.run("gate", "--calibrate", "--pairs", 0, "--from", gate, "--out", "out")
    assert status == 2, output
    assert "no gate of a revision against itself" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--pairs", 0), "nothing to draw from"), (("--base", "HEAD"), "nothing else is compared")],
)
def test_what_cannot_be_calibrated_is_told_at_once(membench: Membench, words: tuple[object, ...], said: str) -> None:
    status, output = membench.run("gate", "--calibrate", *words)
    assert status == 2
    assert said in output

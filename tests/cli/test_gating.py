"""How a gate ends that somebody or something ends: what was decided stays, what was not is no verdict."""

import io
import json
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.gating import GateOptions, Gating
from harness.core.gate import GateVerdict
from harness.core.record import Status
from harness.judge.gate import decide
from tests.judge.gates import SEARCH, pairs, record

OPTIONS = GateOptions("HEAD", False, False, None, None, "auto", 100, [])


class Ended(Gating):
    """A gate in which something happens instead of the measuring."""

    def __init__(self, folder: Path, happens: BaseException, *, decided: bool) -> None:
        self.measured = record(pairs(24, {SEARCH.name: 1.3}), status="failed", reasons=["it was killed"])
        super().__init__(self.measured, OPTIONS, folder, Console(file=io.StringIO()), Console(file=io.StringIO()))
        self._happens, self._decided = happens, decided

    def _measure(self, display: object, began: float) -> None:
        if self._decided:
            decide(self.measured, [], date.today())
        raise self._happens


@pytest.mark.parametrize("happens", [KeyboardInterrupt(), OSError("the database cannot be dropped")])
def test_what_was_decided_stays_decided(tmp_path: Path, happens: BaseException) -> None:
    gate = Ended(tmp_path, happens, decided=True)
    gate.run()
    assert (gate.measured.verdict, gate.measured.status) == (GateVerdict.REGRESSION, "complete")
    assert gate.measured.reasons[0].startswith("search P50 is")
    assert gate.measured.notes[-1].startswith("after the verdict: ")
    assert json.loads((tmp_path / "gate.json").read_text())["verdict"] == "REGRESSION"


@pytest.mark.parametrize(("happens", "status"), [(KeyboardInterrupt(), "interrupted"), (OSError("no"), "failed")])
def test_what_was_not_decided_is_invalid(tmp_path: Path, happens: BaseException, status: Status) -> None:
    gate = Ended(tmp_path, happens, decided=False)
    gate.run()
    assert (gate.measured.verdict, gate.measured.status) == (GateVerdict.INVALID, status)
    assert len(gate.measured.reasons) == 1
    assert "killed" not in gate.measured.reasons[0]

"""Runs the cases one by one, and repeats what a busy machine spoilt or what failed."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from harness.core.errors import MembenchError, UsageError
from harness.core.record import Provenance
from harness.core.verdict import Verdict, overall
from harness.selftest import cases, check, faults
from harness.selftest.cases import Case
from harness.selftest.check import Row, rule
from harness.selftest.offering import Bench

FILE: Final = "selftest.json"
DID_NOT_RUN: Final = "did not run"
BUDGET: Final = 170.0
"""Seconds within which everything ends: a case that would not is not repeated."""
_START = 5.5
"""Seconds of warm-up, and that a load process takes to start and to report, on a busy machine."""

CASES: Final = (
    Case("saturated", "generator swamped: 12,000/s", 5 + _START, faults.saturated),
    Case("idle", "does nothing: 200/s", 6 + _START, cases.idle),
    Case("quantiles", "known quantiles: 5, 20, 50, 100 ms", 6 + _START, cases.quantiles),
    Case("freeze", "freezes: 200/s, 20 s, 2 s", 20 + _START, cases.freeze(200, 20, 2.0, 2), ("saturated",)),
    Case("waiting", "the same, users who wait (what it hides)", 20 + _START, cases.waiting_users),
    Case("short_freeze", "freezes: 200/s, 6 s, 0.1 s", 6 + _START, cases.freeze(200, 6, 0.1, 0), ("saturated",)),
    Case("stop", "SIGSTOP, SIGCONT: 200/s, 6 s, 0.8 s", 6 + _START, cases.stop, ("saturated",)),
    Case("frozen_generator", "generator frozen: 200/s, 5 s, 1 s", 5 + _START, faults.frozen_generator, ("saturated",)),
    Case("merged", "two load processes: 200/s", 5 + _START, faults.merged),
    Case("killed", "load process killed", 3 + _START, faults.killed),
)
"""All cases, in their order. The first also tells how fast a backlog drains here."""


class Outcome(Struct):
    """What a selftest found.

    Attributes:
        verdict: FAIL where any row is, else INVALID where any is, else PASS.
        seconds: that it took.
        interrupted: whether it was ended early.
        not_run: titles of the cases that did not come to their end.
        rows: one per check.
    """

    created_at: str
    provenance: Provenance
    verdict: Verdict = Verdict.INVALID
    seconds: float = 0.0
    interrupted: bool = False
    not_run: list[str] = []
    rows: list[Row] = []


def choose(names: Sequence[str]) -> list[Case]:
    """The cases of these names and those that they need, in order; all where there is no name.

    Raises:
        UsageError: there is no such case; lists those there are.
    """
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no case '{name}'", hint=f"cases are {', '.join(known)}")
    wanted = {*names, *(need for name in names for need in known[name].needs)}
    return [case for case in CASES if not names or case.name in wanted]


class Selftest:
    """Runs cases on a bench.

    Args:
        bench: where.
        chosen: the cases.
        provenance: of the outcome.

    Attributes:
        outcome: what was found so far; always valid to save.
    """

    def __init__(self, bench: Bench, chosen: Sequence[Case], provenance: Provenance) -> None:
        self._bench, self._cases, self._began = bench, chosen, time.monotonic()
        self.outcome = Outcome(datetime.now(UTC).isoformat(timespec="seconds"), provenance)
        self.outcome.not_run = [case.title for case in chosen]

    def run(self) -> Outcome:
        """Run all cases. KeyboardInterrupt ends them early and stands in the outcome."""
        outcome = self.outcome
        try:
            for number, case in enumerate(self._cases, start=1):
                outcome.rows += self._case(case, f"{number}/{len(self._cases)}")
                outcome.not_run.remove(case.title)
        except KeyboardInterrupt:
            outcome.interrupted = True
        outcome.seconds = round(time.monotonic() - self._began, 1)
        outcome.verdict = overall(row.verdict for row in outcome.rows if row.verdict is not None)
        return outcome

    def _case(self, case: Case, number: str) -> list[Row]:
        self._bench.teller.step(f"{number} {case.title}")
        rows = self._attempt(case, 1)
        spoilt = [row.reason for row in rows if row.verdict in (Verdict.INVALID, Verdict.FAIL)]
        if not spoilt or any(row.check.measured == DID_NOT_RUN for row in rows):
            return rows
        left = sum(other.seconds for other in self._cases[self._cases.index(case) :])
        if time.monotonic() - self._began + left > BUDGET:
            return rows
        self._bench.teller.step(f"{number} {case.title}: {spoilt[0]}; once more")
        return repeated(rows, self._attempt(case, 2))

    def _attempt(self, case: Case, attempt: int) -> list[Row]:
        try:
            return [Row(case.title, one, *rule(one, conditions), attempt) for one, conditions in case.run(self._bench)]
        except MembenchError as error:
            failed = check.says("the case", "runs", DID_NOT_RUN, False)
            return [Row(case.title, failed, Verdict.INVALID, str(error), attempt)]


def repeated(first: Sequence[Row], second: Sequence[Row]) -> list[Row]:
    """What is said of a case that was measured twice: the second time's rows, and no error of the first is forgotten.

    An instrument that is wrong is wrong again. What failed once only is no proof of that, and no PASS either: INVALID.
    """
    failed = {row.check.figure: row for row in first if row.verdict == Verdict.FAIL}
    return [_doubted(row, failed.pop(row.check.figure, None)) for row in second] + list(failed.values())


def _doubted(row: Row, before: Row | None) -> Row:
    """A row that is right, but was not when it was measured `before`, is INVALID."""
    if before is None or row.verdict != Verdict.PASS:
        return row
    reason = f"{before.check.measured} at first ({before.reason}); right when it was measured again"
    return Row(row.case, row.check, Verdict.INVALID, reason, row.attempt)


def save(outcome: Outcome, folder: Path) -> Path:
    """Write an outcome into its folder.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    return path

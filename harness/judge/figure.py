"""A figure on its way to a verdict, and the bounds that all figures share."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from harness.core.recorder import OperationLog
from harness.core.targets import Target
from harness.core.verdict import Verdict
from harness.judge.doubt import Doubt

ERRORS_WARN: Final = 0.01
ERRORS_FAIL: Final = 0.05
"""Shares of failed requests, the guide's own bounds: a service that fails fast must not pass for a fast one."""
LONGER: Final = "lengthen the measure phase with --duration"


@dataclass
class Figure:
    """A figure, what is said of it so far, and why.

    Attributes:
        value: in the target's unit; None when there is none.
        clock: that was judged, for latencies.
        floor: the floor's figure, for latencies.
        doubts: why it is INVALID.
    """

    value: float | None = None
    verdict: Verdict = Verdict.INVALID
    clock: str = ""
    floor: float | None = None
    reasons: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def doubted(self, doubts: Iterable[Doubt]) -> "Figure":
        """INVALID for each of the doubts there are."""
        for one in doubts:
            self.verdict = Verdict.INVALID
            self.reasons.append(one.reason)
            self.doubts.append(one)
        return self


def not_measured(reason: str) -> Figure:
    """Nothing can be said, for a reason that is nobody's fault."""
    return Figure(verdict=Verdict.NOT_MEASURED, reasons=[reason])


def against_bounds(target: Target, value: float) -> Verdict:
    """PASS, WARN or FAIL by the bounds alone."""
    if target.meets(value, target.target):
        return Verdict.PASS
    return Verdict.WARN if target.meets(value, target.critical) else Verdict.FAIL


def by_errors(log: OperationLog) -> tuple[Verdict, list[str]]:
    """PASS, WARN or FAIL by the share of requests that failed or were never answered, and the reason."""
    tally = log.tally
    failed = tally.error + tally.censored
    share = failed / tally.sent if tally.sent else 0.0
    if share <= ERRORS_WARN:
        return Verdict.PASS, []
    counts = {**log.errors, "no answer within the drain": tally.censored}
    kinds = ", ".join(f"{kind} x{n}" for kind, n in sorted(counts.items(), key=lambda e: -e[1])[:3] if n)
    verdict = Verdict.FAIL if share > ERRORS_FAIL else Verdict.WARN
    return verdict, [f"{share:.1%} of {tally.sent} requests failed: {kinds}"]

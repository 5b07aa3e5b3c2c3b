"""PASS, WARN, FAIL, INVALID, and what they mean together."""

from collections.abc import Iterable
from enum import StrEnum

from harness.core.errors import Exit


class Verdict(StrEnum):
    """What is said of one figure.

    NOT_MEASURED marks a target that this run did not, or cannot yet, measure. It is never a PASS.
    """

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    INVALID = "INVALID"
    NOT_MEASURED = "not measured"


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a run from those of its figures.

    A crossed critical threshold is certain knowledge, so FAIL outranks INVALID. A run without a single judged
    figure measured nothing and is INVALID.
    """
    seen = set(verdicts) - {Verdict.NOT_MEASURED}
    for verdict in (Verdict.FAIL, Verdict.INVALID, Verdict.WARN, Verdict.PASS):
        if verdict in seen:
            return verdict
    return Verdict.INVALID


def exit_status(verdict: Verdict) -> Exit:
    """The exit status for a run's overall verdict."""
    return {Verdict.PASS: Exit.OK, Verdict.WARN: Exit.OK, Verdict.FAIL: Exit.FAIL}.get(verdict, Exit.INVALID)

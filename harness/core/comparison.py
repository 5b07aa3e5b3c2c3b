"""Two stored records side by side."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from harness.core.fingerprint import Difference


class Finding(StrEnum):
    """What is said of one figure of B against A's."""

    WITHIN_NOISE = "within noise"
    SLOWER = "slower"
    FASTER = "faster"
    LOWER = "lower"
    HIGHER = "higher"
    NONE = "no verdict"


class SideOfComparison(Struct):
    """One of the two records.

    Attributes:
        name: as the user called it.
        run: its id.
        revision: of the working directory it was made in; with "+" where that had changes of its own.
        trouble: what speaks against its figures as a whole; empty for nothing.
    """

    name: str
    run: str
    created_at: str
    revision: str
    service: str
    trouble: list[str] = []


class ComparedFigure(Struct):
    """One figure of both records.

    Attributes:
        kind: a percentile of an operation's latency, or its achieved rate.
        clock: of a latency; else empty.
        percentile: of a latency; else None.
        a: microseconds, or answers per second; None where the record has none.
        b: likewise.
        ratio: b / a.
        low: lower end of the ratio's 95% interval, 0 where it has none; None where there is no interval.
        high: upper end; None where there is none, too.
        why: there is no verdict; empty where there is one.
    """

    scenario: str
    operation: str
    kind: Literal["latency", "rate"]
    clock: str = ""
    percentile: float | None = None
    a: float | None = None
    b: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    finding: Finding = Finding.NONE
    why: str = ""


class Comparison(Struct):
    """What two records say of each other: advice, and never evidence for a gate.

    Attributes:
        differences: in what must be equal; where there are any, no figure has a verdict.
        figures: in the order of A's scenarios and operations.
        notes: what a reader should know before believing them.
    """

    a: SideOfComparison
    b: SideOfComparison
    differences: list[Difference]
    figures: list[ComparedFigure]
    notes: list[str] = []

    @property
    def comparable(self) -> bool:
        """Whether machine and settings are the same, as far as the records tell."""
        return not self.differences

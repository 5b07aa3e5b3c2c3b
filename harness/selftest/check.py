"""One figure against what it must be, and the rule of PASS, FAIL and INVALID."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from harness.core.verdict import Verdict
from harness.selftest.conditions import Conditions
from harness.selftest.expected import Range

NOTHING: Final = "nothing"


class Check(Struct, frozen=True):
    """One figure, compared.

    Attributes:
        figure: its name: "response P99".
        expected: what it must be, in words.
        measured: what it is, in words.
        right: whether it is what it must be; None where there is nothing to be right about: it is only shown.
        excess_ms: by how much it is longer than its tolerance allows; None where no delay explains it.
        plotted: expected and accepted range and the figure, ms, where these are times.
    """

    figure: str
    expected: str
    measured: str
    right: bool | None
    excess_ms: float | None = None
    plotted: tuple[Range, Range, float] | None = None


class Row(Struct):
    """One check and what is said of it.

    Attributes:
        case: the case's title.
        verdict: PASS, FAIL or INVALID; None for what is only shown.
        reason: why it is not a PASS.
        attempt: 2 where the case was repeated.
    """

    case: str
    check: Check
    verdict: Verdict | None
    reason: str = ""
    attempt: int = 1


def rule(check: Check, conditions: Conditions) -> tuple[Verdict | None, str]:
    """PASS for what is right and for nothing else; INVALID where the conditions explain the error; else FAIL.

    Returns:
        the verdict, and the reason where it is not PASS.
    """
    if check.right is None:
        return None, ""
    if check.right:
        return Verdict.PASS, ""
    excuse = conditions.excuse(check.excess_ms)
    if excuse:
        return Verdict.INVALID, excuse
    if check.excess_ms is None:
        return Verdict.FAIL, "no delay makes it so: this is the instrument's own error"
    return (
        Verdict.FAIL,
        f"{check.excess_ms:.1f} ms beyond the tolerance, and nothing explains it: {conditions.healthy()}",
    )


def time(figure: str, expected: Range, accepted: Range, measured_us: float | None) -> Check:
    """A time that must lie within a range.

    Args:
        figure: its name.
        expected: what the formula says, ms.
        accepted: with the tolerance, ms.
        measured_us: microseconds; None where nothing was measured.
    """
    words = _range(expected)
    if measured_us is None:
        return Check(figure, words, NOTHING, False)
    measured = measured_us / 1e3
    right = measured in accepted
    excess = measured - accepted.high if measured > accepted.high else None
    return Check(figure, words, milliseconds(measured_us), right, excess, (expected, accepted, measured))


def below(figure: str, bound: float, measured_us: float | None) -> Check:
    """A time that must not be above a bound (ms)."""
    if measured_us is None:
        return Check(figure, f"at most {bound:g} ms", NOTHING, False)
    measured = measured_us / 1e3
    over = measured - bound
    return Check(figure, f"at most {bound:g} ms", milliseconds(measured_us), over <= 0, over if over > 0 else None)


def counts(figure: str, expected: int, found: Mapping[str, int | float]) -> Check:
    """Counts by name that must all be exactly so many."""
    right = all(count == expected for count in found.values())
    wrong = ", ".join(f"{name} {count:,}" for name, count in found.items() if count != expected)
    return Check(figure, f"{expected:,}", f"{expected:,}" if right else wrong, right)


def rate(figure: str, expected: float, share: float, measured: float, seconds: float) -> Check:
    """Requests per second over so many seconds; what is off counts as the time that would have brought them."""
    off = abs(measured - expected) - share * expected
    excess = None if off <= 0 else off / expected * seconds * 1e3
    return Check(figure, f"{expected:,.0f}/s", f"{measured:,.1f}/s", off <= 0, excess)


def says(figure: str, expected: str, measured: str, right: bool) -> Check:
    """A verdict in words."""
    return Check(figure, expected, measured, right)


def shown(figure: str, measured: str) -> Check:
    """What nothing is said of."""
    return Check(figure, "", measured, None)


def hidden(figure: str, truth: Range, measured_us: float | None) -> Check:
    """What another way of measuring says in place of the truth (ms); nothing is said of that either."""
    if measured_us is None:
        return Check(figure, f"truth: {_range(truth)}", NOTHING, None)
    measured = measured_us / 1e3
    return Check(figure, f"truth: {_range(truth)}", milliseconds(measured_us), None, None, (truth, truth, measured))


def milliseconds(measured_us: float | None) -> str:
    """A time in words."""
    return NOTHING if measured_us is None else f"{_ms(measured_us / 1e3)} ms"


def _range(expected: Range) -> str:
    low, high = _ms(expected.low), _ms(expected.high)
    return f"{low} ms" if low == high else f"{low} to {high} ms"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"

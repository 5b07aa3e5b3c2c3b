"""Figures as text: durations, rates, percentages and counts, to three significant digits."""

import math
import re
from typing import Final

NOTHING: Final = "–"
"""Stands where there is no figure."""

MICROSECONDS: Final = {"ms": 1e3, "s": 1e6}
"""Microseconds in one of each unit that a latency target may have."""

_SCALES: Final = ((1e-3, "ns"), (1.0, "µs"), (1e3, "ms"), (1e6, "s"))
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def number(value: float, digits: int = 3) -> str:
    """A number to `digits` significant digits, never in exponents; whole thousands keep all of theirs."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{value:,.{decimals}f}"


def count(value: int) -> str:
    """A count with its thousands set apart."""
    return f"{value:,}"


def duration(microseconds: float | None, digits: int = 3) -> str:
    """A duration in the unit that suits it.

    Args:
        microseconds: None and NaN give a dash.
        digits: significant ones.

    Returns:
        such as "412 µs", "1.83 ms" or "2.00 s"; whole microseconds have no decimals, since the histograms
        that they come from have none.
    """
    if microseconds is None or not math.isfinite(microseconds):
        return NOTHING
    if microseconds == 0:
        return "0 µs"
    factor, unit = _scale(microseconds, digits)
    if unit == "µs" and float(microseconds).is_integer():
        return f"{microseconds:.0f} µs"
    return f"{number(microseconds / factor, digits)} {unit}"


def within(low: float, high: float | None, figure: float) -> str:
    """The ends of an interval in the unit that `duration` gives the figure, to stand beside it: "1.17–1.31".

    Args:
        low: microseconds.
        high: microseconds; None, for an end beyond all that was seen, gives "≥1.17".
        figure: microseconds.
    """
    factor = _scale(figure)[0]
    ends = [_end(low, factor), "" if high is None else _end(high, factor)]
    return f"{ends[0]}–{ends[1]}" if ends[1] else f"≥{ends[0]}"


def span(low: float, high: float | None) -> str:
    """An interval by itself: "7.10 to 12.0 ms", "980 µs to 1.31 ms", "at least 7.10 ms"."""
    if high is None:
        return f"at least {duration(low)}"
    first, last = duration(low), duration(high)
    same = first.split(" ")[-1] == last.split(" ")[-1]
    return f"{first.rsplit(' ', 1)[0] if same else first} to {last}"


def quantity(value: float, unit: str) -> str:
    """A figure with whatever unit it was read in: "12.4 MiB", "99.1%", "40/s"."""
    return in_unit(value, unit) if unit in ("ms", "s") else _with_unit(number(value), unit).rstrip()


def seconds(value: float | None) -> str:
    """A length of time given in seconds: "30 s", "12.4 s"."""
    return NOTHING if value is None else f"{_plain(round(value, 1 if value >= 1 else 3))} s"


def rate(per_second: float | None) -> str:
    """A rate: "149.9" becomes "150/s", "1050" becomes "1,050/s"."""
    return NOTHING if per_second is None else f"{number(per_second)}/s"


def offered(per_second: float) -> str:
    """A rate as it was set, unrounded: "90/s", "1,050/s"."""
    return f"{_plain(per_second)}/s"


def share(fraction: float | None) -> str:
    """A share between 0 and 1 as a percentage."""
    return NOTHING if fraction is None else f"{number(fraction * 100)}%"


def in_unit(value: float | None, unit: str, digits: int = 3) -> str:
    """A target's figure in its unit; latencies take the scale that suits them.

    Args:
        value: in `unit`.
        unit: ms, s, 1/s, users, % or :1.
        digits: significant ones.
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if unit in MICROSECONDS:
        return duration(value * MICROSECONDS[unit], digits)
    return _with_unit(number(value, digits), unit)


def bound(value: float, unit: str, better: str) -> str:
    """A target's bound as it was set, unrounded: "≤ 1 ms", "≥ 1,000/s"."""
    return f"{'≤' if better == 'lower' else '≥'} {_with_unit(_plain(value), unit)}"


def figure(value: float | None, unit: str, bounds: tuple[float, ...]) -> str:
    """A target's figure with as many digits as it takes to tell it from the bounds that it is judged by.

    A figure of 1.004 ms that missed a target of 1 ms must not read "1.00 ms".
    """
    if value is None:
        return NOTHING
    for digits in range(3, 7):
        rounded = float(f"{value:.{digits - 1}e}")
        if all((rounded == b) == (value == b) for b in bounds):
            return in_unit(value, unit, digits)
    return in_unit(value, unit, 7)


def clean(text: str) -> str:
    """Text without the control characters that XML forbids and that would steer a terminal."""
    return _ILLEGAL.sub("", text)


def _scale(microseconds: float, digits: int = 3) -> tuple[float, str]:
    # Rounded first, so that 999.7 µs becomes 1.00 ms and not 1,000 µs.
    size = abs(float(f"{microseconds:.{digits - 1}e}"))
    return next((s for s in reversed(_SCALES) if size >= s[0]), _SCALES[0])


def _end(microseconds: float, factor: float) -> str:
    whole = factor == 1 and float(microseconds).is_integer()
    return f"{microseconds:,.0f}" if whole else number(microseconds / factor)


def _plain(value: float) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _with_unit(text: str, unit: str) -> str:
    if unit in ("%", ":1"):
        return text + unit
    return f"{text}/s" if unit == "1/s" else f"{text} {unit}"

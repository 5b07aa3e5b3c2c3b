"""Ratios as text: how much worse head's figure is, in percent, and the ratio itself as plots show it."""

import math

from harness.core.rules import Metric
from harness.report.units import NOTHING, number

_TIMES = 9.0
"""Share from which percent are hard to read."""


def worse(metric: Metric, ratio: float | None, decimals: int = 1) -> str:
    """By what share of base's figure head's is worse.

    Args:
        metric: a latency of 1.25 times base's is "+25.0%", and so is -25% of a rate: "+20.0%" where base's is 1.25
            times head's, since that is what a reader finds who divides the two.
        ratio: above 1 is worse; None gives a dash.
        decimals: of the percentage.

    Returns:
        such as "+18.2%", "-7.0%", "0.0%"; "24.0×" for ten times base's and more.
    """
    if ratio is None or not math.isfinite(ratio):
        return NOTHING
    share = metric.share(ratio)
    if share >= _TIMES:
        return f"{number(ratio)}×"
    percent = round(share * 100, decimals)
    return f"{percent:+.{decimals}f}%" if percent else f"{0:.{decimals}f}%"


def interval(metric: Metric, low: float | None, high: float | None, decimals: int = 1) -> str:
    """The ends of an interval as `worse` has them: "+12.4% to +25.0%"; "+12.4% or more" for an unknown upper one."""
    if low is None:
        return NOTHING if high is None else f"{worse(metric, high, decimals)} or less"
    return f"{worse(metric, low, decimals)} {'or more' if high is None else f'to {worse(metric, high, decimals)}'}"


def share(metric: Metric, ratio: float) -> str:
    """A ratio that was set, as `worse` has it but without needless decimals: 1.15 is "15%", of a rate "13%"."""
    return f"{round(metric.share(ratio) * 100, 1):g}%"


def times(ratio: float | None) -> str:
    """A ratio as plots label it: "1.22×"."""
    return NOTHING if ratio is None or not math.isfinite(ratio) else f"{number(ratio)}×"

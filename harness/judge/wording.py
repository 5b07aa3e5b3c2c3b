"""What a gate says of its metrics, in sentences."""

import math
from collections.abc import Sequence
from typing import Final

from harness.core.gate import MetricResult
from harness.core.rules import Metric, Rules

_WORSE: Final = {"latency": "slower", "rate": "lower", "cpu": "higher", "micro": "slower"}
_BETTER: Final = {"latency": "faster", "rate": "higher", "cpu": "lower", "micro": "faster"}
MOST_PAIRS: Final = 200
"""More are not worth recommending: a quieter machine is."""


def found(result: MetricResult) -> str:
    """What was measured: "search P50 is 21% slower (95% interval 18% to 25%, 24 pairs): 5.10 ms -> 6.20 ms"."""
    metric = result.metric
    if result.ratio is None:
        return f"{metric.name} has no figures"
    worse = result.ratio >= 1
    word = (_WORSE if worse else _BETTER)[metric.kind]
    ends = [result.low, result.high] if worse else [result.high, result.low]
    span = [None if end is None else metric.share(end) * (1 if worse else -1) for end in ends]
    interval = f"95% interval {_percent(span[0])} to {_percent(span[1])}, " if None not in span else ""
    text = f"{metric.name} is {_percent(abs(metric.share(result.ratio)))} {word} ({interval}{result.pairs} pairs)"
    if result.base is None or result.head is None:
        return text
    return f"{text}: {amount(metric, result.base)} -> {amount(metric, result.head)}"


def bounded(result: MetricResult) -> str:
    """How much worse it may be: "at most 4.1% slower (95% bound)"."""
    metric = result.metric
    if result.upper is None:
        return "no bound from so few pairs"
    share = metric.share(result.upper)
    word = _WORSE[metric.kind] if share >= 0 else _BETTER[metric.kind]
    return f"at {'most' if share >= 0 else 'least'} {_percent(abs(share))} {word} (95% bound)"


def undecided(result: MetricResult, rules: Rules) -> str:
    """Why it is neither known to have regressed nor not to have, and what would have been found."""
    limit = result.metric.share(rules.bound_of(result.metric))
    text = f"{found(result)}; {bounded(result)}, where NO REGRESSION needs one under {_percent(limit)}"
    if result.detectable is None:
        return f"{text}; so few pairs could have found nothing, however large"
    return f"{text}; {_percent(result.metric.share(result.detectable))} or more would have been found (4 times in 5)"


def needed(results: Sequence[MetricResult], rules: Rules) -> str:
    """What to try where results are inconclusive: more pairs, if so many would do, or less noise.

    An upper bound comes nearer to its estimate with the root of the pairs.
    """
    pairs = 0.0
    for result in results:
        bound = rules.bound_of(result.metric)
        if result.ratio is None or result.upper is None or result.ratio >= bound:
            return "measure more pairs, or on a quieter machine"
        room = math.log(bound / result.ratio)
        pairs = max(pairs, result.pairs * (math.log(result.upper / result.ratio) / room) ** 2)
    if not pairs <= MOST_PAIRS:
        return "use a quieter machine: no bearable number of pairs tells through such noise"
    return f"measure more pairs, about {math.ceil(pairs)} at this noise, or on a quieter machine"


def waiver(metric: Metric) -> str:
    """How to accept a regression for a while."""
    return (
        "find out what slowed it down; if it is meant, accept it for a while in the file of waivers: "
        f'[[waiver]] metric = "{metric.name}", reason = "...", until = YYYY-MM-DD'
    )


def amount(metric: Metric, value: float) -> str:
    """A figure with its unit: "412 µs", "5.10 ms", "0.218 µs", "812/s"."""
    if metric.unit == "1/s":
        return f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"
    for factor, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= factor:
            size = value / factor
            return f"{size:,.{max(2 - int(math.log10(size)), 0)}f} {unit}"
    return f"{value:.0f} µs" if value >= 100 else f"{value:.3g} µs"


def _percent(share: float | None) -> str:
    if share is None:
        return "?"
    return f"{share:.1%}" if abs(share) < 0.1995 else f"{share:.0%}"

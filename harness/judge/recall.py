"""Judging recall: an answer that comes fast and is wrong has not been fast."""

from typing import Final

from harness.core.record import ScenarioResult
from harness.core.targets import Target
from harness.judge.doubt import Doubt
from harness.judge.figure import Figure, against_bounds, not_measured

UNANSWERED_SHARE: Final = 0.1
"""Share of the sample without an exact answer, above which the rest is no fair sample."""


def recall(target: Target, result: ScenarioResult) -> Figure:
    """The share of the exact results that searches found under load, per cent, by its mean over queries."""
    name = target.operation or ""
    found = result.recall.get(name)
    if found is None:
        return not_measured(result.recall_missing.get(name, "no search of it was asked again exactly"))
    value, low, high = 100 * found.mean, 100 * found.low, 100 * found.high
    figure = Figure(value=value, verdict=against_bounds(target, value))
    if found.unanswered > UNANSWERED_SHARE * (found.queries + found.unanswered):
        # Those that take too long exactly are no random ones.
        reason = (
            f"{found.unanswered} of {found.queries + found.unanswered} sampled searches had no exact answer in time"
        )
        figure.doubted([Doubt(reason, "lower --memories, or ask a faster machine")])
    if low < target.critical < high:
        reason = (
            f"{found.queries} queries leave {low:.1f} to {high:.1f}%, which lies on both sides of the critical "
            f"{target.critical:g}%"
        )
        figure.doubted([Doubt(reason, "run it again with another --seed, and take both samples together")])
    return figure

"""The rules by which metrics are compared, on arrays: one gate as it happens, or thousands that are drawn anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

from harness.core.gate import Pair
from harness.core.paired import Floats, Walsh, holm, p_greater
from harness.core.rules import Metric, Rules

Flags = npt.NDArray[np.bool_]

CONFIDENCE: Final = 0.95
"""Of the one-sided upper bound."""
ENOUGH: Final = 0.5
"""Share of the pairs that must have a metric's figures: from fewer, those that have them may be a choice."""


@dataclass(frozen=True)
class Differences:
    """By what head differs from base, shape (metrics, gates, pairs); NaN where a pair lacks a figure.

    Attributes:
        worse: log of the ratio by which head is worse.
        growth: head less base, microseconds; NaN for rates.
    """

    worse: Floats
    growth: Floats

    @classmethod
    def between(cls, pairs: Sequence[Pair], metrics: Sequence[Metric]) -> "Differences":
        """One gate's, in the order of pairs and metrics."""
        worse = np.full((len(metrics), 1, len(pairs)), np.nan)
        growth = worse.copy()
        for row, metric in enumerate(metrics):
            for column, pair in enumerate(pairs):
                if (log := pair.worse(metric)) is not None:
                    base, head = pair.values[metric.name]
                    worse[row, 0, column] = log
                    growth[row, 0, column] = np.nan if metric.higher_is_better else head - base
        return cls(worse, growth)

    def drawn(self, index: npt.NDArray[np.int64], signs: Floats) -> "Differences":
        """Gates made of one gate's pairs: which each is, and -1 where its sides are exchanged, shape (gates, pairs)."""
        return Differences(self.worse[:, 0, index] * signs, self.growth[:, 0, index] * signs)

    def of(self, gates: npt.NDArray[np.int64], pairs: int) -> "Differences":
        """The first pairs of some gates."""
        return Differences(self.worse[:, gates, :pairs], self.growth[:, gates, :pairs])

    def turned(self) -> "Differences":
        """With base and head exchanged."""
        return Differences(-self.worse, -self.growth)


@dataclass(frozen=True)
class Comparison:
    """What the pairs so far say of each metric at one look. Arrays have the shape (metrics, gates).

    Attributes:
        measured: whether enough pairs have its figures; what has too few is neither regressed, sound nor small.
        walsh: of the log ratios.
        upper: one-sided upper bound of the log ratio.
        p: of "worse by the metric's null or less".
        adjusted: by Holm over the gated metrics, by Benjamini and Hochberg over the rest.
        regressed: REGRESSION, but for what else is known of it.
        sound: NO REGRESSION, if it is not regressed.
        small: estimated to be worse by less than matters.
    """

    gated: Flags
    measured: Flags
    walsh: Walsh
    upper: Floats
    p: Floats
    adjusted: Floats
    regressed: Flags
    sound: Flags
    small: Flags

    @cached_property
    def centre(self) -> Floats:
        """Estimate of the log ratio."""
        return self.walsh.centre

    @property
    def passes(self) -> Flags:
        """Whether the gate may pass before its last look, shape (gates,): no gated metric is or may still become worse.

        What looks like a regression goes on to the last look, which names all that regressed.
        """
        passed: Flags = np.all(self.sound[self.gated] & self.small[self.gated], axis=0)
        return passed


def compare(differences: Differences, rules: Rules) -> Comparison:
    """Test every metric of every gate.

    A regression needs three things: the signed-rank test rejects "worse by `null` or less", adjusted, at
    alpha; the estimate is `least` or more; and a latency's growth, estimated from the pairs' own differences in
    microseconds as the ratio is from their ratios, is `floor_us` or more. (Pooled percentiles would let the slow pairs,
    and not the change, make the difference.) What grew by less than its floor, as its upper bound says, is sound
    whatever its ratio.
    """
    least = _column(np.log([metric.least for metric in rules.metrics]))
    null = _column(np.log([metric.rejected for metric in rules.metrics]))
    bound = _column(np.log([rules.bound_of(metric) for metric in rules.metrics]))
    gated = np.array([metric.gated for metric in rules.metrics])
    walsh = Walsh(differences.worse)
    # What has too few pairs stays in its family as one that says nothing.
    measured = (walsh.pairs >= ENOUGH * differences.worse.shape[-1]) & (walsh.pairs > 0)
    p = np.where(measured, p_greater(differences.worse, null), 1.0)
    adjusted = np.empty_like(p)
    adjusted[gated] = holm(p[gated])
    if not gated.all():
        adjusted[~gated] = false_discovery_control(p[~gated], axis=0)
    grown, negligible = _growth(differences, rules.metrics)
    upper = walsh.upper(CONFIDENCE)
    regressed = measured & (adjusted < rules.alpha) & (walsh.centre >= least) & grown
    # An upper bound of NaN, from too few pairs, lies below nothing.
    return Comparison(
        gated=gated,
        measured=measured,
        walsh=walsh,
        upper=upper,
        p=p,
        adjusted=adjusted,
        regressed=regressed,
        sound=measured & ((upper < bound) | negligible),
        small=measured & ((walsh.centre < least) | negligible),
    )


def improved(differences: Differences, rules: Rules) -> Flags:
    """Which metrics are better by `least` or more, by the mirrored test, shape (metrics, gates).

    Benjamini and Hochberg over all metrics: nothing fails by it, so that a false one costs little.
    """
    turned = differences.turned()
    least = _column(np.log([metric.least for metric in rules.metrics]))
    null = _column(np.log([metric.rejected for metric in rules.metrics]))
    walsh = Walsh(turned.worse)
    p = np.where(walsh.pairs >= ENOUGH * turned.worse.shape[-1], p_greater(turned.worse, null), 1.0)
    shrunk, _ = _growth(turned, rules.metrics)
    found: Flags = (false_discovery_control(p, axis=0) < rules.alpha) & (walsh.centre >= least) & shrunk
    return found


def _growth(differences: Differences, metrics: Sequence[Metric]) -> tuple[Flags, Flags]:
    """Whether each grew by its floor at least, as estimated; and whether it grew by less, as the upper bound says."""
    grown = np.ones(differences.growth.shape[:2], dtype=np.bool_)
    negligible = ~grown
    for row, metric in enumerate(metrics):
        if metric.floor_us and not metric.higher_is_better:
            walsh = Walsh(differences.growth[row])
            grown[row] = walsh.centre >= metric.floor_us
            negligible[row] = walsh.upper(CONFIDENCE) < metric.floor_us
    return grown, negligible


def _column(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """One value per metric, for all gates."""
    return np.asarray(values, dtype=np.float64)[:, None]

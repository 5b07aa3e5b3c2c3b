"""The rules by which metrics are compared, on arrays: one gate as it happens, or thousands that are drawn anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

from harness.core.gate import Look, Metric, Pair, Rules
from harness.core.paired import Floats, Walsh, holm, p_greater

Flags = npt.NDArray[np.bool_]

CONFIDENCE: Final = 0.95
"""Of the one-sided bound at the last look; at an earlier one it is what the look's alpha leaves."""
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
        measured: whether enough pairs have its figures; what has too few is neither regressed, sound nor clear.
        walsh: of the log ratios.
        upper: one-sided upper bound of the log ratio.
        p: of "worse by `least` or less".
        adjusted: by Holm over the gated metrics, by Benjamini and Hochberg over the rest.
        regressed: REGRESSION, but for what else is known of it.
        sound: NO REGRESSION, if it is not regressed.
        clear: sound, and far enough for an early end.
    """

    gated: Flags
    measured: Flags
    walsh: Walsh
    upper: Floats
    p: Floats
    adjusted: Floats
    regressed: Flags
    sound: Flags
    clear: Flags

    @cached_property
    def centre(self) -> Floats:
        """Estimate of the log ratio."""
        return self.walsh.centre

    def over(self, waived: Flags | None = None) -> Flags:
        """Whether the gate may end before its last look, shape (gates,): a gated metric regressed, or all are clear.

        Args:
            waived: shape (metrics, 1); a regression that is accepted ends nothing, and hinders nothing.
        """
        regressed, gated = self.regressed[self.gated], self.gated
        accepted = regressed & waived[gated] if waived is not None else np.zeros_like(regressed)
        ended: Flags = np.any(regressed & ~accepted, axis=0) | np.all(self.clear[gated] | accepted, axis=0)
        return ended


def confidence_at(look: Look, rules: Rules) -> float:
    """Of the one-sided upper bound at a look."""
    return CONFIDENCE if look == rules.looks[-1] else 1 - look.alpha


def compare(differences: Differences, look: Look, rules: Rules) -> Comparison:
    """Test every metric of every gate, as at `look`.

    A regression needs three things: the signed-rank test rejects "worse by `least` or less", adjusted, at the look's
    alpha; the estimate is `least` or more; and a latency's growth, estimated from the pairs' own differences in
    microseconds as the ratio is from their ratios, is `floor_us` or more. (Pooled percentiles would let the slow pairs,
    and not the change, make the difference.) What grew by less than its floor, as its upper bound says, is sound
    whatever its ratio.
    """
    confidence = confidence_at(look, rules)
    least = _column(np.log([metric.least for metric in rules.metrics]))
    gated = np.array([metric.gated for metric in rules.metrics])
    walsh = Walsh(differences.worse)
    # What has too few pairs stays in its family as one that says nothing.
    measured = (walsh.pairs >= ENOUGH * differences.worse.shape[-1]) & (walsh.pairs > 0)
    p = np.where(measured, p_greater(differences.worse, least), 1.0)
    adjusted = np.empty_like(p)
    adjusted[gated] = holm(p[gated])
    if not gated.all():
        adjusted[~gated] = false_discovery_control(p[~gated], axis=0)
    grown, negligible = _growth(differences, rules.metrics, confidence)
    upper = walsh.upper(confidence)
    # An upper bound of NaN, from too few pairs, lies below nothing.
    return Comparison(
        gated=gated,
        measured=measured,
        walsh=walsh,
        upper=upper,
        p=p,
        adjusted=adjusted,
        regressed=measured & (adjusted < look.alpha) & (walsh.centre >= least) & grown,
        sound=measured & ((upper < np.log(rules.bound)) | negligible),
        clear=measured & ((upper < np.log(rules.clear)) | negligible),
    )


def improved(differences: Differences, look: Look, rules: Rules) -> Flags:
    """Which metrics are better by `least` or more, by the mirrored test, shape (metrics, gates).

    Benjamini and Hochberg over all metrics: nothing fails by it, so that a false one costs little.
    """
    turned = differences.turned()
    least = _column(np.log([metric.least for metric in rules.metrics]))
    walsh = Walsh(turned.worse)
    p = np.where(walsh.pairs >= ENOUGH * turned.worse.shape[-1], p_greater(turned.worse, least), 1.0)
    shrunk, _ = _growth(turned, rules.metrics, confidence_at(look, rules))
    found: Flags = (false_discovery_control(p, axis=0) < look.alpha) & (walsh.centre >= least) & shrunk
    return found


def _growth(differences: Differences, metrics: Sequence[Metric], confidence: float) -> tuple[Flags, Flags]:
    """Whether each grew by its floor at least, as estimated; and whether it grew by less, as the upper bound says."""
    grown = np.ones(differences.growth.shape[:2], dtype=np.bool_)
    negligible = ~grown
    for row, metric in enumerate(metrics):
        if metric.floor_us and not metric.higher_is_better:
            walsh = Walsh(differences.growth[row])
            grown[row] = walsh.centre >= metric.floor_us
            negligible[row] = walsh.upper(confidence) < metric.floor_us
    return grown, negligible


def _column(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """One value per metric, for all gates."""
    return np.asarray(values, dtype=np.float64)[:, None]

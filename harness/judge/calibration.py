"""How often a gate's rules err: gates drawn anew from recorded pairs, decided as real ones are."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from harness.core.calibration import Calibration, Frequency
from harness.core.errors import UsageError
from harness.core.gate import Pair
from harness.core.rules import Rules
from harness.judge.comparison import Differences, compare

DRAWS: Final = 2000
_AT_ONCE: Final = 250


def rounds_of(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """One gate's pairs that count, by the service processes that they share."""
    counted = [pair for pair in pairs if not pair.doubts]
    return [list(same) for _, same in groupby(counted, key=lambda pair: pair.round)]


def completed(rounds: Sequence[Sequence[Pair]], alike: Sequence[Sequence[Pair]]) -> list[list[Pair]]:
    """Rounds of pairs that measured some blocks alone, with the figures of all other blocks from pairs of equal sides.

    Blocks know nothing of each other: each has its own requests, at its own time. So what was measured of one service
    against itself stands for the operations that nothing was done to.

    Args:
        rounds: with the figures of some metrics.
        alike: with those of all; each round of theirs takes the next of `rounds`, from the first again after the last.
    """
    return [
        [
            Pair(pair.number, pair.round, pair.first, [], {**other.values, **pair.values})
            for pair, other in zip(rounds[index % len(rounds)], others, strict=False)
        ]
        for index, others in enumerate(alike)
        if rounds
    ]


def resampled(
    pairs_by_round: Sequence[Sequence[Pair]], rules: Rules, *, alike: bool, draws: int = DRAWS, seed: int = 1
) -> Calibration:
    """Draw gates from recorded pairs, and decide each by the rules, looks included.

    Whole rounds are drawn, with replacement, until there are pairs enough for the last look: the pairs of a round share
    two service processes and their databases, and whatever luck these had. Where base and head were alike, a coin
    exchanges them, for a whole round at once: by itself the label says nothing, but the luck of a round stays in it. To
    exchange single pairs would make that luck cancel, and a gate look better than it is. Rounds that are drawn twice
    are each other's repetition, so that few recorded rounds make the error rates larger, not smaller, than they are.

    Waivers, failures and the generator's lag, which can only take regressions back, are left out.

    Args:
        pairs_by_round: of one or more gates, see `rounds_of`.
        rules: looks and metrics. The pairs have the figures of these metrics.
        alike: whether base and head were the same.
        draws: gates.
        seed: same seed, same gates.

    Raises:
        UsageError: there are fewer than two rounds.
    """
    rounds = [list(pairs) for pairs in pairs_by_round if pairs]
    if len(rounds) < 2:
        raise UsageError(
            "a calibration draws from recorded rounds, and needs two at the least", hint="measure more pairs"
        )
    recorded = Differences.between([pair for pairs in rounds for pair in pairs], rules.metrics)
    index, signs = _drawn([len(pairs) for pairs in rounds], rules.looks[-1], draws, seed, alike=alike)
    # In parts, since all pairs of pairs of all gates at once would take a gigabyte.
    parts = [slice(start, start + _AT_ONCE) for start in range(0, draws, _AT_ONCE)]
    decided = [_decided(recorded.drawn(index[part], signs[part]), rules) for part in parts]
    regressed, inconclusive, early = (np.concatenate(some, axis=-1) for some in zip(*decided, strict=True))
    gated = np.array([metric.gated for metric in rules.metrics])
    alarm = regressed[gated].any(axis=0)
    return Calibration(
        alike=alike,
        rounds=len(rounds),
        pairs=sum(map(len, rounds)),
        regression=_frequency(alarm),
        inconclusive=_frequency(~alarm & inconclusive[gated].any(axis=0)),
        early=_frequency(early),
        metrics={metric.name: _frequency(row) for metric, row in zip(rules.metrics, regressed, strict=True)},
    )


def _drawn(
    lengths: Sequence[int], pairs: int, draws: int, seed: int, *, alike: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which recorded pair each pair of each gate is, and whether it is exchanged (-1), both shape (draws, pairs)."""
    rng = np.random.default_rng(seed)
    members = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    index, signs = np.empty((draws, pairs), dtype=np.int64), np.ones((draws, pairs))
    most = -(-pairs // min(lengths))
    for gate in range(draws):
        chosen = rng.integers(len(lengths), size=most)
        index[gate] = np.concatenate([members[one] for one in chosen])[:pairs]
        if alike:
            coins = rng.choice((-1.0, 1.0), size=most)
            signs[gate] = np.repeat(coins, [lengths[one] for one in chosen])[:pairs]
    return index, signs


def _decided(
    gates: Differences, rules: Rules
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What regressed and what stayed inconclusive, shape (metrics, gates); and which gates ended early, (gates,)."""
    metrics, draws = gates.worse.shape[:2]
    regressed, inconclusive = np.zeros((2, metrics, draws), dtype=np.bool_)
    early, left = np.zeros(draws, dtype=np.bool_), np.arange(draws)
    for look in rules.looks:
        if not len(left):
            break
        comparison = compare(gates.of(left, look), rules)
        last = look == rules.looks[-1]
        over = comparison.passes | last
        ended = left[over]
        regressed[:, ended] = comparison.regressed[:, over]
        inconclusive[:, ended] = (~comparison.regressed & ~comparison.sound)[:, over]
        early[ended] = not last
        left = left[~over]
    return regressed, inconclusive, early


def _frequency(flags: npt.NDArray[np.bool_]) -> Frequency:
    interval = binomtest(int(flags.sum()), flags.size).proportion_ci(0.95, method="exact")
    return Frequency(int(flags.sum()), flags.size, float(interval.low), float(interval.high))
